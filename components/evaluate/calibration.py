"""Whether stated probabilities come true: the reliability diagram, its measures, and where they do not."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from components.evaluate.charts import reliability_diagram
from components.evaluate.figures import VERDICTS, limits, percent, points
from components.evaluate.selection import selects_rows, show_only
from lib.segmentation.char_classes import marked
from lib.statistics.verdict import Slice, verdict
from lib.studies.evaluation_report import Calibration, Report

_NAMES = {
    "brier": "Brier score",
    "log loss": "Log loss (nats)",
    "smooth ece": "Smooth ECE",
    "debiased ece": "Debiased ECE",
}


def calibration(found: Report) -> None:
    """Show the reliability diagram and the measures, of the stated or the recalibrated probability."""
    choices = {"As the model states it": found.stated, "Recalibrated": found.recalibrated}
    there = {name: each for name, each in choices.items() if each is not None}
    if not there:
        return
    with st.expander("Does a probability of 70% mean right in 70%?", icon=":material/balance:", expanded=True):
        name = st.segmented_control(
            "Probability", list(there), key="evaluate.which", required=True, default=next(iter(there)),
            help="Recalibrated: the score mapped to a probability by logistic regression on score and length. Each row "
            "by a map that was fitted without it.",
        )  # fmt: skip
        which = there[str(name)]
        left, right = st.columns(2, gap="medium")
        with left:
            _diagram(found, which)
        with right:
            st.dataframe(_measures(which), hide_index=True)
            parts = which.brier_parts
            st.caption(
                "If calibrated: what perfectly calibrated probabilities would show on as many answers, in the middle "
                f"and in 95 of 100 cases. Brier score = miscalibration {parts.miscalibration:.3f} "
                f"− discrimination {parts.discrimination:.3f} + uncertainty {parts.uncertainty:.3f}. "
                f"n = {len(which.p):,}."
            )


def _diagram(found: Report, which: Calibration) -> None:
    """Show the diagram; a click on it selects the answers of its bin."""
    key = "evaluate.reliability"

    def select() -> None:
        clicked = st.session_state[key].selection.points
        if not clicked:
            return
        at = float(clicked[0]["x"])
        nearest = min(which.bins, key=lambda each: abs(which.p[each.rows] - at).min())
        show_only(found.rows[nearest.rows], nearest.name)

    reliability_diagram(which.line, key=key, on_select=select)
    st.caption("Click a point to see its answers below.")


def _measures(which: Calibration) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "": _NAMES[name],
                "Measured": f"{which.figures[name].within.value:.3f}",
                "95% interval": limits(which.figures[name].within),
                "If calibrated": f"{expected.median:.3f}",
                "95% below": f"{expected.high:.3f}",
            }
            for name, expected in which.expected.items()
        ]
    )


def slices(found: Report) -> None:
    """Show mean probability and accuracy of each bin and slice; a selected one narrows the answers below."""
    which = found.stated or found.recalibrated
    if which is None:
        return
    each = (*which.bins, *which.slices)
    with st.expander("Where is it over- or underconfident?", icon=":material/stacks:"):
        selects_rows(
            [_slice(one) for one in each],
            "evaluate.slices.table",
            lambda place: show_only(found.rows[each[place].rows], each[place].name),
        )


def _slice(found: Slice) -> dict[str, Any]:
    return {
        "Rows": marked(found.name),
        "n": len(found.rows),
        "Accuracy": percent(found.accuracy),
        "Mean probability": percent(found.confidence),
        "Difference": f"{points(found.gap.value)} ({points(found.gap.low)} to {points(found.gap.high)})",
        "Verdict": VERDICTS[verdict(found.gap)],
    }
