"""The progress of a job, the buttons that stop it, and what became of its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from components.jobs.current_job import may_retry, retry
from components.jobs.history_sync import is_mine
from components.jobs.history_sync import stop as stop_job
from components.shell.escaping import as_text
from components.shell.messages import show_error
from components.shell.services import services
from lib import formatting
from lib.jobs.batch import Batch, State
from lib.jobs.job import Job
from lib.jobs.plan import models_of

_NAMED = 4  # answers named in front of an error they share


def job_progress(job: Job[Any], *, stop: str = "Stop") -> None:
    """Show what the job is doing, for how long it has run, and a button to stop it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        note = as_text(job.note or "Starting")
        st.markdown(f"{note} · {formatting.seconds(job.seconds)}", width="content")  # it moves enough as it is
        stop_button(job, stop)


def batch_progress(job: Job[Batch]) -> None:
    """Show how far the answers of a running job are, the time left, and a button to stop it."""
    batch = job.partial
    if batch is None or len(batch.outcomes) < 2:
        job_progress(job)
        return
    total, done, failed = len(batch.outcomes), batch.count(State.DONE), batch.count(State.FAILED)
    words = [f"{done:,} of {formatting.count(total, 'answer')} done"] + [f"{failed:,} failed"] * bool(failed)
    if batch.seconds_left is not None:
        words.append(f"about {formatting.seconds(batch.seconds_left)} left")
    if _is_billed(job):
        words.append(f"{formatting.dollars(services().ledger.dollars)} spent in this session")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress((done + failed) / total, text=" · ".join(words))
        stop_button(job)
    waiting = next((each.note for each in batch.outcomes if each.state is State.RUNNING and each.note), "")
    st.caption(as_text(f"{job.note}: {waiting}" if waiting and waiting != job.note else job.note))


def _is_billed(job: Job[Batch]) -> bool:
    """Whether any of the job's calls costs money; looked up once, as a plan may have tens of thousands."""
    key = f"progress.billed.{job.id}"
    if key not in st.session_state:
        st.session_state[key] = job.plan is not None and any(each.billed for each in models_of(job.plan.calls()))
    return bool(st.session_state[key])


def stop_button(job: Job[Any], stop: str = "Stop") -> None:
    """Show the visitor's own job a button that stops it, then one that doesn't wait for calls in flight."""
    if not is_mine(job):
        return
    # Each of the two has its own key, so that a double click presses the first one only.
    st.button(
        "Stop now" if job.cancelled else stop, key=f"stop.{job.id}.{job.cancelled}", on_click=stop_job, args=(job,),
        disabled=job.force_stopped, icon=":material/stop:", help=_dropped(job) if job.cancelled else None,
    )  # fmt: skip


def _dropped(job: Job[Any]) -> str:
    """What stopping now would drop."""
    batch = job.partial
    running = batch.count(State.RUNNING) if isinstance(batch, Batch) else 0
    return f"Drops {formatting.count(running, 'answer')} in flight, which may have been billed already."


def what_became(job: Job[Batch], batch: Batch | None, name: Callable[[int], str]) -> None:
    """Show why answers of a job that is over are missing, grouped by cause, and offer to ask for them again.

    name: what to call an answer by its place.
    """
    if job.error is not None:
        show_error(job.error)
    if batch is None:
        return
    if batch.cap is not None:
        show_error(batch.cap)
    elif stopped := where_it_stopped(batch):
        st.caption(as_text(stopped))
    _failures(batch, name)
    if batch.missing and may_retry(job):
        continues = job.cancelled and not batch.count(State.FAILED)
        verb, icon = ("Continue with", ":material/play_arrow:") if continues else ("Retry", ":material/replay:")
        label = f"{verb} the {batch.missing:,} missing" if len(batch.outcomes) > 1 else "Retry"
        st.button(label, key=f"retry.{job.id}.{job.version}", icon=icon, on_click=_retry, args=(job,))
    if (problem := st.session_state.pop("retry.problem", None)) is not None:
        show_error(problem)


def _retry(job: Job[Batch]) -> None:
    st.session_state["retry.problem"] = retry(job)


def _failures(batch: Batch, name: Callable[[int], str]) -> None:
    """Show each error once, with the answers it is about; their names only if there are several answers."""
    errors = {str(each.error): each.error for each in batch.outcomes if each.error is not None}
    for message, error in errors.items():
        places = [place for place, each in enumerate(batch.outcomes) if str(each.error) == message]
        if len(batch.outcomes) > 1:
            named = list(dict.fromkeys(name(place) for place in places))
            more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
            st.caption(as_text(f"{', '.join(named[:_NAMED])}{more}:"))
        show_error(error)


def where_it_stopped(batch: Batch) -> str:
    """What a stopped batch of several answers lacks, such as "Stopped: 2 incomplete, 1 missing."; "" if nothing."""
    if len(batch.outcomes) < 2:
        return ""
    cut = sum(done.stop_reason == "cancelled" for done in batch.completions)
    missing = batch.count(State.NOT_STARTED)
    parts = [f"{cut:,} incomplete" if cut else "", f"{missing:,} missing" if missing else ""]
    return f"Stopped: {', '.join(filter(None, parts))}." if cut or missing else ""
