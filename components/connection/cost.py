"""What the session has cost by estimate, how far it may go, and waking a model ahead of time."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from components.jobs.progress import job_progress
from components.shell.escaping import as_text
from components.shell.fragments import repeated
from components.shell.messages import show_error
from components.shell.services import account, check_allowed, engines, jobs, ledger, visitor
from lib import formatting
from lib.access.policy import Policy
from lib.core.completion import Completion
from lib.core.sources import BedrockModel
from lib.costs.bedrock_prices import Units, usual_rate, window_price
from lib.costs.ledger import Caps
from lib.errors import CandorError
from lib.jobs.job import Job
from lib.jobs.run import wake

_KEY = "connection.warming"
_LOOK = 0.5  # seconds between two looks at a call that wakes a model


@dataclass(frozen=True)
class Warming:
    """What a job that wakes a model is about."""

    source: BedrockModel


def session_cost() -> None:
    """Calls, windows and money since the program was started."""
    st.subheader("This session")
    book = ledger()
    bills = book.bills
    with st.container(horizontal=True, gap="large"):
        st.metric("Calls answered", _of(f"{book.calls:,}", book.caps.calls), help=_CALLS, width="content")
        windows = sum(bill.windows for bill in bills.values())
        st.metric("Five-minute windows", f"{windows:,}", help=_WINDOWS, width="content")
        cap = None if book.caps.dollars is None else formatting.dollars(book.caps.dollars)
        st.metric("Cost, estimate", _of(formatting.dollars(book.dollars), cap), help=_COST, width="content")
    if any(not bill.units.known and bill.calls for bill in bills.values()):
        st.caption("Bedrock did not say how many Custom Model Units the model takes; one is assumed.")


def caps_form(policy: Policy) -> None:
    """The caps and the price. Where others can reach the page they are the operator's."""
    book = ledger()
    with st.expander("Caps and price", icon=":material/tune:"):
        if not policy.open:
            st.caption("Set by the operator: CANDOR_MAX_CALLS, CANDOR_MAX_DOLLARS, CANDOR_CMU_RATE.")
            return
        with st.form("connection.caps", border=False):
            left, middle, right = st.columns(3)
            calls = left.number_input("Calls at most", 0, 1_000_000, book.caps.calls, help=_CAP)
            dollars = middle.number_input("US dollars at most", 0.0, 1e6, book.caps.dollars, 1.0, help=_CAP)
            rate = right.number_input(
                "US dollars per unit and minute", 0.0, 100.0, book.rate, 0.001, format="%.5f",
                placeholder=f"{usual_rate('v1.0'):.5f} (v1.0), {usual_rate('v2.0'):.5f} (v2.0)", help=_RATE,
            )  # fmt: skip
            if st.form_submit_button("Save"):
                book.caps, book.rate = Caps(calls, dollars), rate
                st.rerun()


def warm_up_now(model: BedrockModel) -> None:
    """A button that wakes the model, with its price; and how far that has come."""
    found = account().peek_details(model.place, model.arn)
    details = found.value if found is not None else None
    known = details is not None and details.units is not None
    units = Units(details.units, details.version, known=True) if details is not None and known else Units()
    price = as_text(formatting.dollars(window_price(units, ledger().rate)))
    job = _job(model)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Warm up now", icon=":material/local_fire_department:", disabled=job is not None and not job.over
        )
        assumed = "" if known else ", if a copy takes one Custom Model Unit"
        st.caption(f"About {price} for each window of five minutes that a copy is awake{assumed}.", width="content")
    if not account().is_aws(model.place):
        st.caption("This model is not asked at AWS, and nothing is billed; it is counted as AWS would bill it.")
    if pressed:
        try:
            check_allowed(model)
            job = jobs().start(wake(engines(), model), subject=Warming(model), by=visitor())
        except CandorError as error:
            show_error(error)
        else:
            st.session_state[_KEY] = job.id
    with st.container():  # what follows a fragment that runs by itself may vanish
        if job is not None:
            (_outcome if job.over else repeated(_progress, _LOOK))(job)


def _job(model: BedrockModel) -> Job[Completion] | None:
    job = jobs().find(st.session_state.get(_KEY), visitor())
    return job if job is not None and job.subject == Warming(model) else None  # type: ignore[return-value]


def _progress(job: Job[Completion]) -> None:
    if job.over:
        st.rerun()
    job_progress(job, stop="Cancel")


def _outcome(job: Job[Completion]) -> None:
    if job.error is not None:
        show_error(job.error)
    elif job.result is not None:
        st.success(f"Awake: it answered after {formatting.seconds(job.seconds)}.", icon=":material/check:")


def _of(value: str, cap: object) -> str:
    return value if cap is None else f"{value} of {cap:,}" if isinstance(cap, int) else f"{value} of {cap}"


_CALLS = "Since Candor was started, for everybody who uses it. Calls that fail are not billed and not counted."
_WINDOWS = "Bedrock bills a model in windows of five minutes from its first answer on."
_COST = (
    "An estimate, and the least it can be: windows × 5 minutes × Custom Model Units per copy × price, for one copy. "
    "Bedrock may keep more copies awake when many calls come at once, and prices differ by region."
)
_CAP = "A call that would go beyond it is refused. Empty for no limit."
_RATE = (
    "The price of a Custom Model Unit for a minute. Empty for the published one in us-east-1, which differs by the "
    "version of the model's units."
)
