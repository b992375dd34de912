"""How far a job has come, and a way to stop it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.kept import is_mine
from components.notices import escaped
from lib import formats
from lib.jobs import Job


def job_progress(job: Job[Any], *, stop: str = "Stop") -> None:
    """What the job is doing, for how long, and a button that stops it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        note = escaped(job.note or "Starting")
        st.markdown(f":shimmer[{note}] · {formats.seconds(job.seconds)}", width="content")
        label = "Stopping" if job.cancelled else stop
        if is_mine(job):
            st.button(label, key=f"stop.{job.id}", on_click=job.cancel, disabled=job.cancelled, icon=":material/stop:")
