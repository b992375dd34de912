"""Every answer of an evaluation, and the token map of the selected one."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from components.evaluate.grading import grade_buttons
from components.evaluate.selection import only, show_all
from components.jobs.current_job import Run
from components.shell.escaping import as_text
from components.token_map import ANSWER_FIRST
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.display.token_map_view import TokenMapView
from lib.segmentation.char_classes import marked
from lib.studies.evaluation_outcome import EvaluationOutcome
from lib.studies.evaluation_report import Report
from lib.studies.evaluation_rows import Answered

_CELL = 300  # characters
_WHICH = ("All", "Wrong, most confident first", "Right, least confident first")


def answer_rows(job: Run, outcome: EvaluationOutcome, place: int) -> None:
    """Show the answers of one model or prompt. place: which."""
    side = outcome.sides[place]
    rows, found = side.rows, side.report
    st.subheader("Answers")
    which = st.segmented_control(
        "Answers", _WHICH, key="evaluate.rows.which", required=True, default=_WHICH[0], label_visibility="collapsed"
    )
    order = _order(rows, found, str(which))
    _narrowed()
    if not order:
        st.caption("No answers match.")
        return
    calibrated = {} if found.recalibrated is None else dict(zip(found.rows.tolist(), found.recalibrated.p, strict=True))
    event: Any = st.dataframe(
        [_row(rows[each], found, calibrated.get(each)) for each in order],
        hide_index=True, on_select="rerun", selection_mode="single-row", key=f"evaluate.rows.{which}.{place}",
    )  # fmt: skip
    selected = [order[row] for row in event.selection.rows if row < len(order)]
    _answer(job, outcome, place, selected[0] if selected else order[0])


def _order(rows: tuple[Answered, ...], found: Report, which: str) -> list[int]:
    narrowed = only()
    order = [each for each in range(len(rows)) if narrowed is None or each in narrowed[0]]
    if which == _WHICH[1]:
        order = [each for each in order if rows[each].right is False]
        order.sort(key=lambda each: -_score(rows[each], found))
    elif which == _WHICH[2]:
        order = [each for each in order if rows[each].right]
        order.sort(key=lambda each: _score(rows[each], found))
    return order


def _narrowed() -> None:
    narrowed = only()
    if narrowed is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"Only {as_text(narrowed[1])}: {formatting.count(len(narrowed[0]), 'answer')}", width="content")
        st.button("Show all", key="evaluate.rows.all", type="tertiary", on_click=show_all)


def _answer(job: Run, outcome: EvaluationOutcome, place: int, row: int) -> None:
    """Show one answer: its grade, its map, and what the first model or prompt made of the same question."""
    own = outcome.sides[place].rows[row]
    grade_buttons(job, place, own)
    if own.completion is not None:
        map_with_pin(TokenMapView(own.completion), key="evaluate.map", shown=ANSWER_FIRST)
    other = 0 if place else 1
    if len(outcome.sides) > 1 and (done := outcome.sides[other].rows[row].completion) is not None:
        st.caption(as_text(outcome.sides[other].name))
        map_with_pin(TokenMapView(done), key="evaluate.map.other", shown=ANSWER_FIRST)


def _score(row: Answered, found: Report) -> float:
    value = row.scores.get(found.score, math.nan)
    return -math.inf if math.isnan(value) else value


def _row(row: Answered, found: Report, calibrated: float | None) -> dict[str, Any]:
    score = _score(row, found)
    by_hand = ", by hand" if row.overruled else ""
    return {
        "Row": row.question.row,
        "Right": {True: f"right{by_hand}", False: f"wrong{by_hand}", None: "not graded"}[row.right],
        "Score": round(score, 3) if math.isfinite(score) else None,
        "Probability": None if math.isnan(row.stated) else round(row.stated, 3),
        "Calibrated": None if calibrated is None else round(float(calibrated), 3),
        "Tokens": row.tokens,
        # Last, as they may be long.
        "Prompt": marked(formatting.beginning(row.question.prompt, _CELL)),
        "Expected": marked(formatting.beginning(" | ".join(row.question.expected), _CELL)),
        "Answer": "" if row.completion is None else marked(formatting.beginning(row.completion.text, _CELL)),
    }
