"""Whether stated probabilities come true: the reliability diagram, its measures, and where they do not."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from components.calibrated import export_button, in_use, use
from components.evaluate.charts import confidence_histogram, reliability_diagram
from components.evaluate.figures import VERDICTS, limits, percent
from components.evaluate.selection import selects_rows, show_only
from components.shell.escaping import as_text
from lib.scores.confidence import CHOICE
from lib.segmentation.char_classes import marked
from lib.statistics.maps import Kind
from lib.statistics.recalibration import kinds_for
from lib.statistics.verdict import Slice, verdict
from lib.studies.evaluation_outcome import Side, calibration_from
from lib.studies.evaluation_report import Calibration, Report
from lib.studies.evaluation_text import WORDING, points

_NAMES = {
    "brier": "Brier score",
    "log loss": "Log loss (nats)",
    "smooth ece": "Smooth ECE",
    "debiased ece": "Debiased ECE",
}


_KIND, _WHICH = "evaluate.kind", "evaluate.which"
_STATED, _RECALIBRATED = "As the model states it", "Recalibrated"
_MAPS = {
    Kind.PLATT: "Logistic, with length (Platt)",
    Kind.TEMPERATURE: "Temperature",
    Kind.ISOTONIC: "Isotonic",
}


def calibration(side: Side, title: str) -> None:
    """Show the reliability diagram and the measures, of the stated or the recalibrated probability.

    title: of what was evaluated.
    """
    found = side.report
    there = _there(found)
    if not there:
        return
    with st.expander(
        "Are answers with a probability of 70% right 70% of the time?", icon=":material/balance:", expanded=True
    ):
        st.segmented_control(
            "Probability", list(there), key=_WHICH, required=True, default=_usual(found),
            help="Recalibrated: the score mapped to a probability, for each row by a map that was fitted without it.",
        )  # fmt: skip
        which = _chosen(found)
        if not found.judges(which):
            st.caption(as_text(WORDING))
        left, right = st.columns(2, gap="medium")
        with left:
            _diagram(found, which)
        with right:
            if found.judges(which):
                st.dataframe(_measures(which), hide_index=True)
                parts = which.brier_parts
                st.caption(
                    "Measured: value and 95% interval. If calibrated: median and 95th percentile for perfectly "
                    "calibrated probabilities on as many answers. Brier score = miscalibration "
                    f"{parts.miscalibration:.3f} − discrimination {parts.discrimination:.3f} + uncertainty "
                    f"{parts.uncertainty:.3f}. n = {len(which.p):,}."
                )
            if which is found.recalibrated:
                _take_over(side, title)


def _there(found: Report) -> dict[str, Calibration]:
    choices = {_STATED: found.stated, _RECALIBRATED: found.recalibrated}
    return {name: each for name, each in choices.items() if each is not None}


def _usual(found: Report) -> str:
    """The probability that is shown until another is chosen: the one that verdicts are about."""
    there = _there(found)
    return next((name for name, each in there.items() if each is found.judged), next(iter(there)))


def _chosen(found: Report) -> Calibration:
    """The calibration that is chosen above."""
    there = _there(found)
    name = st.session_state.get(_WHICH)
    return there[name if name in there else _usual(found)]


def kind_of_map() -> Kind:
    """The map from the score to a probability that is chosen below."""
    return Kind(st.session_state.get(_KIND) or Kind.PLATT)


def _take_over(side: Side, title: str) -> None:
    """Show which map is fitted, and offer it for use elsewhere and as a file."""
    found = side.report
    kinds = kinds_for(len(found.rows), log_odds=found.score == CHOICE)
    if st.session_state.get(_KIND) not in (None, *kinds):
        del st.session_state[_KIND]
    st.selectbox(
        "Map", kinds, key=_KIND, persist_state="session", format_func=_MAPS.__getitem__, width=320,
        help="From the score to a probability. Isotonic takes 500 labelled answers; temperature needs choices.",
    )  # fmt: skip
    made = calibration_from(side, title)
    if made is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if made.usable:
            st.button(
                "In use" if in_use(made) else "Use for this model", key="evaluate.use", type="tertiary",
                icon=":material/verified:", on_click=use, args=(made,), disabled=in_use(made),
                help="Explore and Rank then show this probability for the model's answers. Connection lists what is "
                "in use.",
            )  # fmt: skip
        export_button(made, "evaluate.export")
    auroc = found.discrimination["auroc"].within
    if 0.5 in auroc or auroc.value < 0.5:
        st.caption(
            f"This score may not tell right answers from wrong ones: AUROC {auroc.value:.3f} ({limits(auroc)}). "
            "A calibration then gives most answers about the same probability.",
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
    confidence_histogram(which.p, which.right, key="evaluate.histogram")
    right, wrong = (which.figures[name].within for name in ("mean of right", "mean of wrong"))
    st.caption(
        f"Mean probability of right answers {percent(right.value)} ({limits(right, percents=True)}), of wrong ones "
        f"{percent(wrong.value)} ({limits(wrong, percents=True)})."
    )


def _measures(which: Calibration) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "": _NAMES[name],
                "Measured": f"{which.figures[name].within.value:.3f} ({limits(which.figures[name].within)})",
                "If calibrated": f"{expected.median:.3f}, to {expected.high:.3f}",
            }
            for name, expected in which.expected.items()
        ]
    )


def slices(found: Report) -> None:
    """Show mean probability and accuracy of each bin and slice; a selected one narrows the answers below."""
    if not _there(found):
        return
    which = _chosen(found)
    judged = found.judges(which)
    each = (*which.bins, *which.slices)
    with st.expander("Where is it over- or underconfident?", icon=":material/stacks:"):
        selects_rows(
            [_slice(one, judged=judged) for one in each],
            "evaluate.slices.table",
            lambda place: show_only(found.rows[each[place].rows], each[place].name),
        )


def _slice(found: Slice, *, judged: bool) -> dict[str, Any]:
    return {
        "Rows": marked(found.name),
        "n": len(found.rows),
        "Accuracy": percent(found.accuracy),
        "Mean probability": percent(found.confidence),
        "Difference": points(found.gap),
        "Verdict": VERDICTS[verdict(found.gap)] if judged else "not judged",
    }
