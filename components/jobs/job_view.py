"""How a page shows a job: its progress, what became of its answers, and its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import streamlit as st

from components.jobs.current_job import Run
from components.jobs.history_sync import keeping
from components.jobs.progress import batch_progress, stop_button, what_became
from components.shell.fragments import repeated
from lib import formatting
from lib.jobs.batch import Batch, State
from lib.jobs.plan import Plan

_LABEL = 80  # characters of an answer in a list of answers
POLL = 0.5  # seconds between two looks at a running job


def answer_number(_: Plan | None, place: int) -> str:
    """An answer's name by its place alone."""
    return f"Answer {place + 1}"


def answer_label(place: int, batch: Batch) -> str:
    """An answer in a list to choose from: its number and its beginning."""
    outcome = batch.outcomes[place]
    text = "" if outcome.completion is None else formatting.visible(outcome.completion.text[:_LABEL])
    return f"{place + 1}: {text or '(empty)'}{'' if outcome.state is State.DONE else ' (incomplete)'}"


def never() -> bool:
    """That results do not fetch anything by themselves."""
    return False


@dataclass(frozen=True)
class JobView:
    """A place on a page that shows one job at a time."""

    key: str  # where the session keeps the id of the job that is shown
    results: Callable[[Run, Batch], None]  # shows the answers; while the job runs, those so far
    what: str = ""  # what to call the job where it is saved; "" for nothing
    while_running: bool = False  # whether results are shown while the job runs
    fed: Callable[[], bool] = never  # whether results of a running job fetch what is new by themselves
    answer_name: Callable[[Plan | None, int], str] = answer_number  # what to call an answer, by its place

    def show(self, job: Run) -> None:
        """Show a job, and follow it until it is over."""
        # Results that were shown while the job ran stay in the same fragment, so that the browser keeps what it drew.
        if job.over and not self.while_running:
            self.follow(job, live=False)
        else:
            with st.container():
                repeated(self.follow, None if job.over or self.fed() else POLL)(job, live=not job.over)
        if job.over:
            keeping(job, what=self.what)

    def follow(self, job: Run, *, live: bool) -> None:
        """Show the job as it is now. live: whether it was running when the page was drawn."""
        # While it is live, all of this belongs to a fragment: whatever follows a fragment on a timer may vanish.
        shown = st.session_state.get(self.key, job.id)
        if (live and job.over) or shown != job.id or job.successor is not None:  # another answer, or a retry
            st.rerun()
        batch, fed = job.result or job.partial, live and self.fed()
        with st.container():  # so that the results do not move when the progress disappears
            if fed:
                stop_button(job)
            elif live:
                batch_progress(job)
            else:
                what_became(job, batch, partial(self.answer_name, job.plan))
        job.seen = job.over
        any_there = batch is not None and (batch.completions or (job.over and not batch.outcomes))  # or none was asked
        if fed or (any_there and (self.while_running or not live)):
            self.results(job, batch or Batch(()))
            if fed and job.over:  # while it was drawn, so that some of it may have been drawn as if over, and some not
                st.rerun()
        elif not live and job.error is None and (batch is None or not any(each.error for each in batch.outcomes)):
            st.info("Stopped before the first token.", icon=":material/block:")
