"""How a page shows a job: its progress, what became of its answers, and its results."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import streamlit as st

from components.jobs.current_job import Run
from components.jobs.history_sync import keeping
from components.jobs.progress import batch_progress, what_became
from components.shell.fragments import repeated
from lib.jobs.batch import Batch
from lib.jobs.plan import Plan

POLL = 0.2  # seconds between two looks at a running job
_SHOWN = "asking.shown"  # the number of tokens shown of a running job
_STEP = 5  # tokens between two looks
_LONGEST_WAIT = 0.5  # seconds between two looks, unless there is nothing new


def answer_number(_: Plan | None, place: int) -> str:
    """An answer's name by its place alone."""
    return f"Answer {place + 1}"


@dataclass(frozen=True)
class JobView:
    """A place on a page that shows one job at a time."""

    key: str  # where the session keeps the id of the job that is shown
    results: Callable[[Run, Batch], None]  # shows the answers; while the job runs, those so far
    what: str = ""  # what to call the job where it is saved; "" for nothing
    while_running: bool = False  # whether results are shown while the job runs
    poll: float = POLL  # seconds between two looks at a running job
    answer_name: Callable[[Plan | None, int], str] = answer_number  # what to call an answer, by its place

    def show(self, job: Run) -> None:
        """Show a job, and follow it until it is over."""
        st.session_state.pop(_SHOWN, None)
        # Results that were shown while the job ran stay in the same fragment, so that the browser keeps what it drew.
        if job.over and not self.while_running:
            self.follow(job, live=False)
        else:
            with st.container():
                repeated(self.follow, None if job.over else self.poll)(job, live=not job.over)
        if job.over:
            keeping(job, what=self.what)

    def follow(self, job: Run, *, live: bool) -> None:
        """Show the job as it is now. live: whether it was running when the page was drawn."""
        if live:  # before anything is drawn, so that all of it reaches the browser at once
            self._wait_for_news(job)
        # While it is live, all of this belongs to a fragment: whatever follows a fragment on a timer may vanish.
        shown = st.session_state.get(self.key, job.id)
        if (live and job.over) or shown != job.id or job.successor is not None:  # another answer, or a retry
            st.rerun()
        with st.container():  # so that the results do not move when the progress disappears
            if live:
                batch_progress(job)
            batch = job.result or job.partial
            if not live:
                what_became(job, batch, partial(self.answer_name, job.plan))
        job.seen = job.over
        if batch is not None and batch.completions and (self.while_running or not live):
            self.results(job, batch)
        elif not live and job.error is None and (batch is None or not any(each.error for each in batch.outcomes)):
            st.info("Stopped before the first token.", icon=":material/block:")

    def _wait_for_news(self, job: Run) -> None:
        """Wait until there is something worth a look: the first tokens one by one, later a few at a time.

        Each look makes the browser render most of the page again, which takes it many times as long as the tokens do.
        """
        if not self.while_running:
            return
        shown = st.session_state.get(_SHOWN)
        if shown is not None:  # not in a run of the whole page, whose end the browser waits for
            needed = shown + (1 if shown < _STEP else _STEP)
            until, version = time.monotonic() + _LONGEST_WAIT, job.version
            while _tokens(job) < needed and not job.over and (left := until - time.monotonic()) > 0:
                version = job.wait_for_news(version, left)
        st.session_state[_SHOWN] = _tokens(job)


def _tokens(job: Run) -> int:
    """The number of tokens generated so far."""
    return 0 if job.partial is None else sum(len(each.generated) for each in job.partial.completions)
