"""The progress of a job, and a button to stop it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from components.jobs.history_sync import is_mine
from components.jobs.history_sync import stop as stop_job
from components.shell.escaping import as_text
from components.shell.fragments import repeated
from components.shell.messages import show_error
from lib import formatting
from lib.core.completion import Completion
from lib.jobs.batch import Many, State
from lib.jobs.job import Job

_POLL = 0.2  # seconds between two looks at a running job


def job_progress(job: Job[Any], *, stop: str = "Stop") -> None:
    """Show what the job is doing, for how long it has run, and a button to stop it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        note = as_text(job.note or "Starting")
        st.markdown(f":shimmer[{note}] · {formatting.seconds(job.seconds)}", width="content")
        stop_button(job, stop)


def stop_button(job: Job[Any], stop: str = "Stop") -> None:
    """Show the visitor's own job a button that stops it, then one that doesn't wait for calls in flight."""
    if not is_mine(job):
        return
    label = "Stop now" if job.cancelled else stop
    # Each of the two has its own key, so that a double click presses the first one only.
    st.button(
        label, key=f"stop.{job.id}.{job.cancelled}", on_click=stop_job, args=(job,), disabled=job.force_stopped,
        icon=":material/stop:",
    )  # fmt: skip


def when_done(job: Job[Any], draw: Callable[[Many[Any]], None]) -> None:
    """Show the progress of a batch; once it is over, show errors first, then the outcomes with `draw`."""
    repeated(_once_over, None if job.over else _POLL)(job, draw, live=not job.over)


def _once_over(job: Job[Any], draw: Callable[[Many[Any]], None], *, live: bool) -> None:
    # Everything below belongs to this fragment: whatever follows a fragment on a timer may vanish.
    if live and job.over:
        st.rerun()
    if live:
        job_progress(job)
        return
    job.seen = True
    if job.error is not None:
        show_error(job.error)
    many = job.result or job.partial
    if isinstance(many, Many):
        if many.cap is not None:
            show_error(many.cap)
        elif stopped := where_it_stopped(many):
            st.caption(as_text(stopped))
        draw(many)


def where_it_stopped(many: Many[Completion]) -> str:
    """What a stopped batch lacks, such as "Stopped: 2 incomplete, 1 missing."; "" if it is complete."""
    cut = sum(each.result is not None and each.result.stop_reason == "cancelled" for each in many.outcomes)
    missing = sum(each.state is State.NOT_STARTED for each in many.outcomes)
    parts = [f"{cut:,} incomplete" if cut else "", f"{missing:,} missing" if missing else ""]
    return f"Stopped: {', '.join(filter(None, parts))}." if cut or missing else ""
