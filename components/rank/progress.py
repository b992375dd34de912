"""Follow a ranking job: progress and Stop, failures, and the answers so far."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.jobs.progress import stop_button, where_it_stopped
from components.rank.results import ranking
from components.shell.escaping import as_text
from components.shell.fragments import repeated
from components.shell.messages import show_error
from lib import formatting
from lib.core.completion import Completion
from lib.jobs.batch import Many, State
from lib.jobs.job import Job

_POLL = 0.2  # seconds between two looks at a running job


def show_ranking(job: Job[Any] | None) -> None:
    """Rank the job's answers as they arrive; without a job, say what appears here."""
    if job is None:
        st.caption(
            "The answers appear here, most likely first. Let the model sample some, add candidates of your own, or "
            "both, then choose Rank."
        )
        return
    repeated(_show, None if job.over else _POLL)(job, live=not job.over)


def _show(job: Job[Any], *, live: bool) -> None:
    # Everything below belongs to this fragment: whatever follows a fragment on a timer may vanish.
    if live and job.over:
        st.rerun()
    many = job.result or job.partial
    if not live:
        job.seen = True
        if job.error is not None:
            show_error(job.error)
    with st.container():
        if live:
            _running(job, many)
        if many is not None:
            _stopped_and_failed(many, live=live)
    if not isinstance(many, Many):
        return
    done = [each.result for each in many.outcomes if each.state is State.DONE and each.result is not None]
    if done:
        ranking(done)
    elif not live:
        st.info("There are no answers to rank.", icon=":material/block:")


def _running(job: Job[Any], many: Many[Completion] | None) -> None:
    notes = [each.note for each in many.outcomes if each.state is State.RUNNING and each.note] if many else []
    note = next(iter(notes), "Starting")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":shimmer[{as_text(note)}] · {formatting.seconds(job.seconds)}", width="content")
        stop_button(job)


def _stopped_and_failed(many: Many[Completion], *, live: bool) -> None:
    if many.cap is not None:
        show_error(many.cap)
    elif not live and (stopped := where_it_stopped(many)):
        st.caption(as_text(stopped))
    errors = [each.error for each in many.outcomes if each.error is not None]
    for message in dict.fromkeys(map(str, errors)):
        alike = [error for error in errors if str(error) == message]
        st.caption(f"{formatting.count(len(alike), 'answer')} failed:")
        show_error(alike[0])
