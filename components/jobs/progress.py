"""How far a job has come, and a way to stop it."""

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

_POLL = 0.2  # seconds between two looks at a job that is at work


def job_progress(job: Job[Any], *, stop: str = "Stop") -> None:
    """What the job is doing, for how long, and a button that stops it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        note = as_text(job.note or "Starting")
        st.markdown(f":shimmer[{note}] · {formatting.seconds(job.seconds)}", width="content")
        label = "Stopping" if job.cancelled else stop
        if is_mine(job):
            st.button(
                label, key=f"stop.{job.id}", on_click=stop_job, args=(job,), disabled=job.cancelled,
                icon=":material/stop:",
            )  # fmt: skip


def when_done(job: Job[Any], draw: Callable[[Many[Any]], None]) -> None:
    """How far a job of several answers has come; once it is over, what `draw` makes of them, after what went wrong."""
    repeated(_once_over, None if job.over else _POLL)(job, draw, live=not job.over)


def _once_over(job: Job[Any], draw: Callable[[Many[Any]], None], *, live: bool) -> None:
    # Everything below belongs to this fragment: what follows a fragment that reruns by itself may vanish.
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
    """What is missing of several answers because somebody stopped them; "" where nothing is."""
    cut = sum(each.result is not None and each.result.stop_reason == "cancelled" for each in many.outcomes)
    missing = sum(each.state is State.NOT_STARTED for each in many.outcomes)
    parts = [
        f"{formatting.count(cut, 'answer')} {'was' if cut == 1 else 'were'} cut off" if cut else "",
        f"{formatting.count(missing, 'answer')} did not come" if missing else "",
    ]
    return f"It was stopped: {', '.join(filter(None, parts))}." if cut or missing else ""
