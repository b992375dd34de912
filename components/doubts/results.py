"""An answer with its doubtful words flagged, then what to do about them, and further looks at it."""

from __future__ import annotations

import streamlit as st

from components.doubts.actions import actions
from components.doubts.flagged import flagged
from components.doubts.json_answer import json_answer
from components.doubts.label_choices import label_choices
from components.doubts.looks import second_looks
from components.doubts.ranked_sentences import ranked_sentences
from components.jobs.current_job import Run
from components.jobs.job_view import answer_label
from components.shell.messages import show_text_itself, show_warnings
from lib.core.completion import Completion
from lib.jobs.batch import Batch


def show_doubts(job: Run, batch: Batch) -> None:
    """Show the job's answer, or the chosen one of several, and what is doubtful in it."""
    done = _chosen(job, batch)
    if done is None:
        return
    show_warnings(done.warnings)
    if not len(done.generated):
        st.info("There is no answer to read: the response has a prompt only.", icon=":material/block:")
        return
    st.fragment(_answer)(job, done)


def _answer(job: Run, done: Completion) -> None:
    found = flagged(done)
    show_text_itself(done)
    json_answer(done)
    actions(job, found)
    second_looks(job, found)
    label_choices(job, done)
    ranked_sentences(done)


def _chosen(job: Run, batch: Batch) -> Completion | None:
    here = [place for place, each in enumerate(batch.outcomes) if each.completion is not None]
    if len(here) < 2:
        return batch.outcomes[here[0]].completion if here else None
    place = st.selectbox(
        "Answer", here, format_func=lambda place: answer_label(place, batch), key=f"doubts.which.{job.id}",
    )  # fmt: skip
    return batch.outcomes[place].completion if place in here else None
