"""Grades that the visitor sets by hand, saved with the run."""

from __future__ import annotations

import streamlit as st

from components.jobs.current_job import Run
from components.jobs.history_sync import detail_of, is_mine, set_detail
from components.shell.escaping import as_text
from lib import formatting
from lib.evaluation.grades import Grades, grades_as_json, grades_of
from lib.segmentation.char_classes import marked
from lib.studies.evaluation_rows import Answered

_DETAIL = "grades"
_CHARACTERS = 120  # of what was compared


def grades_for(job: Run) -> Grades:
    """The grades of a job that were set by hand, by the place of the model or prompt and the row's id."""
    key = f"evaluate.grades.{job.id}"
    if key not in st.session_state:
        st.session_state[key] = grades_of(detail_of(job.id, _DETAIL))
    found: Grades = st.session_state[key]
    return found


def grade_buttons(job: Run, place: int, row: Answered) -> None:
    """Show whether an answer is right, with the buttons that overrule it. place: of the model or prompt."""
    if not row.can_be_graded:
        return
    grade = {True: "Right", False: "Wrong", None: "Not graded"}[row.right]
    by = "" if row.right is None else " (by hand)" if row.overruled else " (by rule)"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{grade}**{by}", width="content")
        st.caption(as_text(_compared(row)), width="content")
        if not is_mine(job):
            return
        for label, right in _choices(row).items():
            icon = ":material/undo:" if right is None else ":material/edit:"
            if st.button(label, key=f"evaluate.grade.{row.overruled}.{right}", icon=icon, type="tertiary"):
                _set(job, place, row.question.row_id, right)
                st.rerun()  # all of the page, as every figure may have changed


def _choices(row: Answered) -> dict[str, bool | None]:
    """The grades that an answer can be given; None is that of the rule."""
    if row.overruled:
        return {"Restore the rule's grade": None}
    both = {"Count as right": True, "Count as wrong": False}
    return {label: right for label, right in both.items() if right is not row.right}


def _compared(row: Answered) -> str:
    """What the rule compared with what."""
    ours = marked(formatting.beginning(row.compared, _CHARACTERS)) or "(empty)"
    theirs = marked(formatting.beginning(" | ".join(row.question.expected), _CHARACTERS))
    return f"Compared: {ours}. Expected: {theirs}."


def _set(job: Run, place: int, row_id: str, right: bool | None) -> None:
    grades = {side: dict(each) for side, each in grades_for(job).items()}
    own = grades.setdefault(place, {})
    if right is None:
        own.pop(row_id, None)
    else:
        own[row_id] = right
    st.session_state[f"evaluate.grades.{job.id}"] = grades
    if job.kept:
        set_detail(job.id, _DETAIL, grades_as_json(grades))
