"""The page that asks: a form with its price, progress, what became of the answers, and results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import streamlit as st

from components.jobs.current_job import Run, current_job, gone, open_saved, start
from components.jobs.job_view import JobView, answer_number, never
from components.shell.messages import show_error
from lib.core.sources import Source
from lib.errors import CandorError, InvalidRequest
from lib.jobs.batch import Batch
from lib.jobs.plan import Plan
from lib.studies.saved_response import SavedResponse

P = TypeVar("P", bound=Plan)


@dataclass(frozen=True)
class Known:
    """A plan of which some answers are there already."""

    plan: Plan
    batch: Batch
    of: Plan | None = None  # the plan that these are the outcome of, if it is another one


Asked = Plan | Known | SavedResponse | CandorError | None


@dataclass(frozen=True)
class AskingPage:
    """A page that asks models and shows their answers."""

    name: str  # of its file and address, and of the fields in its form
    title: str
    # Shows the form, filled with a plan if there is one and nothing was typed; returns what was asked once its button
    # is pressed, or why that is invalid. The source is the model in the sidebar.
    form: Callable[[Plan | None, Source], Asked]
    results: Callable[[Run, Batch], None]  # shows the answers; while the job runs, those so far
    empty: str  # what to say while there is no job
    gone: str  # what to say if the page's address names a job that no longer exists
    what: str = ""  # what to call the job where it is saved; "" for nothing
    while_running: bool = False  # whether results are shown while the job runs
    fed: Callable[[], bool] = never  # whether results of a running job fetch what is new by themselves
    answer_name: Callable[[Plan | None, int], str] = answer_number  # what to call an answer, by its place
    takes: frozenset[str] = frozenset()  # other pages whose jobs it shows, too

    def show(self) -> None:
        """Show the page."""
        st.title(self.title)
        job = current_job(self.name, self.takes)
        with st.container():
            submitted = self.form(None if job is None else job.plan, st.session_state["model"])
        job, problem = self._start(job, submitted)
        with st.container():
            if problem is not None:
                show_error(problem)
            if job is None and gone():
                st.info(self.gone, icon=":material/link_off:")
        self.show_job(job)

    def show_job(self, job: Run | None) -> None:
        """Show a job's progress and its answers; without a job, say what appears here."""
        if job is None:
            st.caption(self.empty)
            return
        JobView(f"{self.name}.job", self.results, self.what, self.while_running, self.fed, self.answer_name).show(job)

    def _start(self, job: Run | None, submitted: Asked) -> tuple[Run | None, CandorError | None]:
        if submitted is None:
            return job, None
        if isinstance(submitted, CandorError):
            return job, submitted
        if isinstance(submitted, SavedResponse):
            return open_saved(self.name, submitted, self.takes)
        if isinstance(submitted, Known):
            return start(self.name, submitted.plan, submitted.batch, self.takes, submitted.of)
        return start(self.name, submitted, takes=self.takes)


def planned(make: Callable[[], P]) -> P | CandorError:
    """The plan that a form makes of its fields, or why they are invalid: checks that its calls can be made."""
    try:
        plan = make()
        plan.calls()
    except InvalidRequest as error:
        return error
    return plan
