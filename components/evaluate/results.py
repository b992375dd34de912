"""The report of an evaluation: the answer first, then calibration, thresholds, slices and every row."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import streamlit as st

from components.evaluate.charts import reliability_diagram, risk_by_coverage
from components.jobs.current_job import Run
from components.shell.escaping import as_text
from components.token_map import ANSWER_FIRST
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.display.spreadsheet import as_csv
from lib.display.token_map_view import TokenMapView
from lib.jobs.batch import Batch
from lib.scores.confidence import DEFAULT_SCORE, SCORES
from lib.segmentation.char_classes import marked
from lib.statistics.bootstrap import Interval
from lib.statistics.verdict import Slice, Verdict, verdict
from lib.studies.evaluation import Answered, EvaluatePlan, answered
from lib.studies.evaluation_report import Both, Calibration, Guaranteed, Report, as_json, report
from lib.studies.evaluation_text import table

_CELL = 300  # characters
_KEPT = "evaluate.report"
_WHICH = ("All", "Wrong, most confident first", "Right, least confident first")


def show_report(job: Run, batch: Batch) -> None:
    """Show the report of a finished evaluation."""
    if not isinstance(job.plan, EvaluatePlan):
        return
    score = st.selectbox(
        "Confidence", list(SCORES), format_func=lambda name: SCORES[name].label, key="evaluate.score",
        persist_state="session", index=list(SCORES).index(DEFAULT_SCORE), width=280,
        help="Which score of an answer counts as the model's confidence.",
    )  # fmt: skip
    rows, found = _made(job, job.plan, batch, score)
    _headline(found)
    for each in found.missing:
        st.caption(as_text(each))
    _calibration(found)
    _selective(found)
    _slices(found)
    st.fragment(_rows)(rows, found)
    _downloads(rows, found)


def _made(job: Run, plan: EvaluatePlan, batch: Batch, score: str) -> tuple[tuple[Answered, ...], Report]:
    """The rows and their report, kept between runs of the page."""
    key = (job.id, job.version, len(batch.outcomes), score)
    kept: tuple[Any, tuple[Answered, ...], Report] | None = st.session_state.get(_KEPT)
    if kept is None or kept[0] != key:
        rows = answered(plan, batch)
        with st.spinner("Working out the report"):
            kept = st.session_state[_KEPT] = (key, rows, report(rows, score))
    return kept[1], kept[2]


def _headline(found: Report) -> None:
    first, second, third = st.columns(3)
    if found.accuracy is not None:
        first.metric("Accuracy", _percent(found.accuracy.within.value), help="The share of right answers.")
        first.caption(_interval(found.accuracy, percents=True))
    if (auroc := found.discrimination.get("auroc")) is not None:
        second.metric(
            "AUROC", f"{auroc.within.value:.3f}",
            help="The probability that a right answer has a higher score than a wrong one. 0.5 says nothing.",
        )  # fmt: skip
        second.caption(_interval(auroc))
    if found.stated is not None:
        gap = found.stated.figures["gap"]
        third.metric(
            "The model is", _VERDICTS[found.stated.verdict],
            help="The mean probability that the model gives its answers, minus the share that is right.",
        )  # fmt: skip
        third.caption(f"{_points(gap.within.value)} ({_points(gap.within.low)} to {_points(gap.within.high)})")
    failed = found.n - found.answered
    if failed and found.accuracy is not None:
        st.caption(f"{formatting.count(failed, 'question')} of {found.n:,} not answered: left out of all figures.")


_VERDICTS = {
    Verdict.OVER: "Overconfident",
    Verdict.UNDER: "Underconfident",
    Verdict.NOT_SHOWN: "Not shown",
}


def _calibration(found: Report) -> None:
    choices = {
        "As the model states it": found.stated,
        "Recalibrated": found.recalibrated,
    }
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
            reliability_diagram(which.line, key="evaluate.reliability")
        with right:
            st.dataframe(_measures(which), hide_index=True)
            parts = which.brier_parts
            st.caption(
                "If calibrated: what perfectly calibrated probabilities would show on as many answers, in the middle "
                f"and in 95 of 100 cases. Brier score = miscalibration {parts.miscalibration:.3f} "
                f"− discrimination {parts.discrimination:.3f} + uncertainty {parts.uncertainty:.3f}. "
                f"n = {len(which.p):,}."
            )


_NAMES = {
    "brier": "Brier score",
    "log loss": "Log loss (nats)",
    "smooth ece": "Smooth ECE",
    "debiased ece": "Debiased ECE",
}


def _measures(which: Calibration) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "": _NAMES[name],
                "Measured": f"{which.figures[name].within.value:.3f}",
                "95% interval": _limits(which.figures[name].within),
                "If calibrated": f"{expected.median:.3f}",
                "95% below": f"{expected.high:.3f}",
            }
            for name, expected in which.expected.items()
        ]
    )


def _selective(found: Report) -> None:
    if found.curve is None:
        return
    with st.expander("From which score on can answers go out?", icon=":material/rule:", expanded=True):
        left, right = st.columns(2, gap="medium")
        with left:
            risk_by_coverage(found.curve, key="evaluate.risk")
        with right:
            st.dataframe([_promise(each) for each in found.guarantees], hide_index=True)
            st.caption("With 90% confidence, for answers like these: same model, same prompt, same kind of question.")
            for why in dict.fromkeys(each.why_not for each in found.guarantees if each.why_not):
                st.caption(as_text(why))


def _promise(each: Guaranteed) -> dict[str, str]:
    risk = formatting.exact_percent(each.risk)
    if each.found is None:
        return {"At most wrong": risk, "Score from": "not shown", "Goes out": "", "Wrong here": ""}
    return {
        "At most wrong": risk,
        "Score from": f"{each.found.threshold:.3f}",
        "Goes out": f"{each.found.kept:,} of {each.found.n:,}",
        "Wrong here": f"{each.found.wrong:,}",
    }


def _slices(found: Report) -> None:
    which = found.stated or found.recalibrated
    if which is None:
        return
    with st.expander("Where is it over- or underconfident?", icon=":material/stacks:"):
        st.dataframe([_slice(each) for each in (*which.bins, *which.slices)], hide_index=True)


def _slice(found: Slice) -> dict[str, Any]:
    return {
        "Rows": marked(found.name),
        "n": len(found.rows),
        "Accuracy": _percent(found.accuracy),
        "Mean probability": _percent(found.confidence),
        "Difference": f"{_points(found.gap.value)} ({_points(found.gap.low)} to {_points(found.gap.high)})",
        "Verdict": _VERDICTS[verdict(found.gap)],
    }


def _rows(rows: tuple[Answered, ...], found: Report) -> None:
    """Every row, and the token map of the selected one."""
    st.subheader("Answers")
    which = st.segmented_control(
        "Answers", _WHICH, key="evaluate.rows.which", required=True, default=_WHICH[0], label_visibility="collapsed"
    )
    order = list(range(len(rows)))
    if which == _WHICH[1]:
        order = [each for each in order if rows[each].right is False]
        order.sort(key=lambda each: -_score(rows[each], found))
    elif which == _WHICH[2]:
        order = [each for each in order if rows[each].right]
        order.sort(key=lambda each: _score(rows[each], found))
    if not order:
        st.caption("There are none.")
        return
    event: Any = st.dataframe(
        [_row(rows[each], found) for each in order],
        hide_index=True, on_select="rerun", selection_mode="single-row", key=f"evaluate.rows.{which}",
    )  # fmt: skip
    selected = [order[place] for place in event.selection.rows if place < len(order)]
    done = rows[selected[0] if selected else order[0]].completion
    if done is not None:
        map_with_pin(TokenMapView(done), key="evaluate.map", shown=ANSWER_FIRST)


def _score(row: Answered, found: Report) -> float:
    value = row.scores.get(found.score, math.nan)
    return -math.inf if math.isnan(value) else value


def _row(row: Answered, found: Report) -> dict[str, Any]:
    score = _score(row, found)
    return {
        "Row": row.question.row,
        "Prompt": marked(formatting.beginning(row.question.prompt, _CELL)),
        "Expected": marked(formatting.beginning(" | ".join(row.question.expected), _CELL)),
        "Answer": "" if row.completion is None else marked(formatting.beginning(row.completion.text, _CELL)),
        "Right": {True: "right", False: "wrong", None: "not graded"}[row.right],
        "Score": round(score, 3) if math.isfinite(score) else None,
        "Probability": None if math.isnan(row.stated) else round(row.stated, 3),
        "Tokens": row.tokens,
    }


def _downloads(rows: tuple[Answered, ...], found: Report) -> None:
    with st.container(horizontal=True):
        st.download_button(
            "Report (JSON)", lambda: json.dumps(as_json(found), indent=1, ensure_ascii=False), "candor-evaluation.json",
            "application/json", icon=":material/download:", on_click="ignore", type="tertiary",
        )  # fmt: skip
        st.download_button(
            "Rows (CSV)", lambda: as_csv(table(rows)), "candor-evaluation.csv", "text/csv",
            icon=":material/download:", on_click="ignore", type="tertiary",
        )  # fmt: skip


def _interval(both: Both, *, percents: bool = False) -> str:
    """The interval for questions like these, the number of rows, and the interval for other groups."""
    own = f"{_limits(both.within, percents=percents)}, n = {both.within.n:,}"
    if both.over is None or math.isnan(both.over.low):
        return own
    return f"{own}; other groups {_limits(both.over, percents=percents)}"


def _limits(found: Interval, *, percents: bool = False) -> str:
    if math.isnan(found.low):
        return "interval unknown"
    if percents:
        return f"{100 * found.low:.1f} to {100 * found.high:.1f}%"
    return f"{found.low:.3f} to {found.high:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _points(share: float) -> str:
    return "?" if math.isnan(share) else f"{100 * share:+.1f} points".replace("-", "−")
