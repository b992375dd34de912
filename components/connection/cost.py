"""The session's estimated spend, its caps, and a button to warm up a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import streamlit as st

from components.jobs.progress import job_progress
from components.shell.access import visitor
from components.shell.escaping import as_text
from components.shell.fragments import repeated
from components.shell.messages import show_error
from components.shell.services import services
from lib import formatting
from lib.access.policy import Policy
from lib.core.sources import BedrockModel
from lib.costs.bedrock_prices import Units, usual_rate, window_price
from lib.costs.ledger import Caps
from lib.errors import CandorError
from lib.jobs.batch import Batch
from lib.jobs.call import Call
from lib.jobs.job import Job
from lib.jobs.run_plan import wake

_KEY = "connection.warming"
_POLL = 0.5  # seconds between two looks at a warm-up call


@dataclass(frozen=True)
class WarmUp:
    """The plan of a job that warms up a model. It is not stored."""

    kind: ClassVar[str] = "warm-up"
    page: ClassVar[str] = "connection"

    source: BedrockModel  # the model

    def calls(self) -> tuple[Call, ...]:
        """None: it needs no answer."""
        return ()

    def title(self) -> str:
        """The model's ARN."""
        return self.source.arn


def session_cost() -> None:
    """Show calls, billing windows and estimated cost since Candor started."""
    st.subheader("This session")
    book = services().ledger
    bills = book.bills
    with st.container(horizontal=True, gap="large"):
        st.metric("Calls", _of(f"{book.calls:,}", book.caps.calls), help=_CALLS, width="content")
        windows = sum(bill.windows for bill in bills.values())
        st.metric("Five-minute windows", f"{windows:,}", help=_WINDOWS, width="content")
        cap = None if book.caps.dollars is None else formatting.dollars(book.caps.dollars)
        st.metric("Estimated cost", _of(formatting.dollars(book.dollars), cap), help=_COST, width="content")
    if any(not bill.units.known and bill.calls for bill in bills.values()):
        st.caption("Bedrock doesn't say how many Custom Model Units this model takes; the estimate assumes one.")


def caps_form(policy: Policy) -> None:
    """Show the caps and the price, which only the operator sets on a shared server."""
    book = services().ledger
    with st.expander("Caps and price", icon=":material/tune:"):
        if not policy.open:
            st.caption("The operator sets these: CANDOR_MAX_CALLS, CANDOR_MAX_DOLLARS and CANDOR_CMU_RATE.")
            return
        with st.form("connection.caps", border=False):
            left, middle, right = st.columns(3)
            calls = left.number_input("Cap on calls", 0, 1_000_000, book.caps.calls, help=_CAP)
            dollars = middle.number_input("Cap on cost (USD)", 0.0, 1e6, book.caps.dollars, 1.0, help=_CAP)
            rate = right.number_input(
                "USD per unit and minute", 0.0, 100.0, book.rate, 0.001, format="%.5f",
                placeholder=f"{usual_rate('v1.0'):.5f} (v1.0), {usual_rate('v2.0'):.5f} (v2.0)", help=_RATE,
            )  # fmt: skip
            if st.form_submit_button("Save"):
                book.caps, book.rate = Caps(calls, dollars), rate
                st.rerun()


def warm_up_now(model: BedrockModel) -> None:
    """Show a button that warms up the model, its price, and the progress of the call."""
    found = services().account.peek_details(model.place, model.arn)
    details = found.value if found is not None else None
    units = Units()
    if details is not None and details.units is not None:
        units = Units(details.units, details.version, known=True)
    price = as_text(formatting.dollars(window_price(units, services().ledger.rate)))
    job = _job(model)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Warm up now", icon=":material/local_fire_department:", disabled=job is not None and not job.over
        )
        assumed = "" if units.known else ", assuming one Custom Model Unit per copy"
        st.caption(f"About {price} per copy for each five-minute window it is warm{assumed}.", width="content")
    if not services().account.is_aws(model.place):
        st.caption("This endpoint isn't AWS, so nothing is billed. The estimate shows what AWS would charge.")
    if pressed:
        try:
            services().check_allowed(model)
            job = services().jobs.start(wake(services().engines, model), WarmUp(model), visitor())
        except CandorError as error:
            show_error(error)
        else:
            st.session_state[_KEY] = job.id
    with st.container():  # whatever follows a fragment on a timer may vanish
        if job is not None:
            (_outcome if job.over else repeated(_progress, _POLL))(job)


def _job(model: BedrockModel) -> Job[Batch] | None:
    job = services().jobs.find(st.session_state.get(_KEY), visitor())
    return job if job is not None and job.plan == WarmUp(model) else None  # type: ignore[return-value]


def _progress(job: Job[Batch]) -> None:
    if job.over:
        st.rerun()
    job_progress(job, stop="Cancel")


def _outcome(job: Job[Batch]) -> None:
    if job.error is not None:
        show_error(job.error)
    elif job.result is not None:
        st.success(f"Warm. The model answered after {formatting.seconds(job.seconds)}.", icon=":material/check:")


def _of(value: str, cap: object) -> str:
    return value if cap is None else f"{value} of {cap:,}" if isinstance(cap, int) else f"{value} of {cap}"


_CALLS = "Answered calls since Candor started, by all its users. Failed calls are neither billed nor counted."
_WINDOWS = "Bedrock bills a model in five-minute windows, starting with its first answer."
_COST = (
    "A lower bound: windows × 5 minutes × Custom Model Units per copy × price, for one copy. Bedrock may run more "
    "copies when many calls arrive at once, and prices differ by region."
)
_CAP = "Calls beyond the cap are refused. Leave empty for no cap."
_RATE = (
    "Price of a Custom Model Unit per minute. Leave empty to use the published us-east-1 price for the version of the "
    "model's units."
)
