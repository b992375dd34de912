"""Above which score answers can be released: risk by coverage, and thresholds with a guarantee."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import streamlit as st

from components.evaluate.charts import risk_by_coverage
from components.evaluate.selection import show_only
from components.policies import own_policy, use_policy
from components.shell.escaping import as_text
from lib import formatting
from lib.policies.policy import from_threshold
from lib.statistics.selective import RiskCoverage
from lib.statistics.thresholds import Guaranteed
from lib.studies.evaluation_report import Report
from lib.studies.evaluation_rows import Answered

_RISK, _CERTAINTY = "evaluate.risk.wanted", "evaluate.certainty"


def thresholds(found: Report, rows: tuple[Answered, ...]) -> None:
    """Show the risk–coverage curve, and what each risk takes."""
    if found.curve is None:
        return
    with st.expander("Above which score can you release answers?", icon=":material/rule:", expanded=True):
        left, right = st.columns(2, gap="medium")
        with left:
            _curve(found, found.curve, rows)
        with right:
            _wanted_fields()
            st.dataframe([_promise(each) for each in found.guarantees], hide_index=True)
            st.caption("This applies to answers like these: the same model, prompt and kind of question.")
            for line in _reasons(found):
                st.caption(as_text(line))
            _as_policy(found)


def wanted() -> tuple[tuple[float, float], ...]:
    """The risk and the certainty that are asked for below."""
    risk, certainty = st.session_state.get(_RISK), st.session_state.get(_CERTAINTY)
    return ((risk / 100, (certainty or 90.0) / 100),) if risk else ()


def _wanted_fields() -> None:
    """Show the fields for a risk of one's own."""
    with st.container(horizontal=True, gap="small"):
        st.number_input(
            "Wrong at most (%)", 0.1, 90.0, None, step=1.0, key=_RISK, persist_state="session", width=160,
            placeholder="such as 5", help="Adds a line with the lowest score for this share of wrong answers.",
        )  # fmt: skip
        st.number_input(
            "Certainty (%)", 50.0, 99.9, 90.0, step=1.0, key=_CERTAINTY, persist_state="session", width=160,
            help="In how many of 100 data sets like this one the threshold stays within the risk.",
        )  # fmt: skip


def _as_policy(found: Report) -> None:
    """Offer the thresholds that were found as policies for Doubts."""
    shown = [each for each in found.guarantees if each.found is not None]
    if not shown:
        return

    def label(place: int) -> str:
        each = shown[place]
        return f"{formatting.exact_percent(each.risk)}, certainty {formatting.exact_percent(each.certainty)}"

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        place = st.selectbox(
            "Allowed share of wrong answers", range(len(shown)), format_func=label, width=260,
            key="evaluate.policy.risk",
        )  # fmt: skip
        policy = from_threshold(shown[place], found.score)
        st.button(
            "Use in Doubts", icon=":material/rule_settings:", type="tertiary", key="evaluate.policy",
            on_click=use_policy, args=(policy,), help="Makes this threshold your own policy there.",
        )  # fmt: skip
    if own_policy() == policy:
        st.caption("In use: choose “Your own” among the policies on Doubts.")


def _curve(found: Report, curve: RiskCoverage, rows: tuple[Answered, ...]) -> None:
    """Show the curve; a click on it selects the answers that are kept there."""
    key = "evaluate.risk"

    def select() -> None:
        clicked = st.session_state[key].selection.points
        if clicked:
            threshold = float(curve.threshold[int(np.abs(curve.coverage - float(clicked[0]["x"])).argmin())])
            kept = [place for place in found.rows if rows[place].scores[found.score] >= threshold]
            show_only(kept, f"scores of at least {threshold:.3f}")

    risk_by_coverage(curve, key=key, on_select=select)


def _reasons(found: Report) -> Iterator[str]:
    """Why risks are not shown, those with the same reason on one line."""
    reasons: dict[str, list[str]] = {}
    for each in found.guarantees:
        if each.found is None:
            more = f" About {_rounded(each.more_labels)} more may be enough." if each.more_labels else ""
            reasons.setdefault(each.why_not + more, []).append(formatting.exact_percent(each.risk))
    for reason, risks in reasons.items():
        yield f"{', '.join(risks)}: {reason}"


def _rounded(count: int) -> str:
    """A rough number as one, with two digits that count."""
    return f"{float(f'{count:.2g}'):,.0f}"


def _promise(each: Guaranteed) -> dict[str, str]:
    risk = f"{formatting.exact_percent(each.risk)} (certainty {formatting.exact_percent(each.certainty)})"
    if each.found is None:
        return {"At most wrong": risk, "Score from": "not shown", "Released": "", "Wrong among them": ""}
    low, high = each.found.wrong_range
    return {
        "At most wrong": risk,
        "Score from": f"{each.found.threshold:.3f}".replace("-", "−"),
        "Released": f"{each.found.kept:,} of {each.found.n:,}",
        "Wrong among them": f"{low:,}–{high:,} (here {each.found.wrong:,})",
    }
