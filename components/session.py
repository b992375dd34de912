"""The job a page shows: started once, found again after a rerun, a reload or from the page's address."""

from __future__ import annotations

import streamlit as st

from components.process import engines, jobs, owner, policy
from lib.asking import Question, ask
from lib.completion import Completion
from lib.errors import CandorError, InvalidRequest
from lib.jobs import Job
from lib.request import Request

_PARAMETER = "job"


def current_job(page: str) -> Job[Completion] | None:
    """The job this page showed last, or the one that its address names."""
    job = jobs().find(st.session_state.get(f"{page}.job") or st.query_params.get(_PARAMETER))
    if job is None:
        return None
    _remember(page, job)
    return job  # type: ignore[return-value]


def start_job(page: str, request: Request) -> tuple[Job[Completion] | None, CandorError | None]:
    """Ask the model in use; returns the job, or the one before it and why no new one could be started."""
    before = current_job(page)
    source = st.session_state.get("model", "")
    try:
        if not source:
            raise InvalidRequest("No model is chosen.", "Give a directory, a GGUF file or a hub id in the sidebar.")
        policy().check(source)
        if before is not None and not before.over:
            before.cancel()
        question = Question(source, request)
        job = jobs().start(ask(engines(), question, owner=owner()), subject=question)
    except CandorError as error:
        return before, error
    _remember(page, job)
    return job, None


def _remember(page: str, job: Job[Completion] | Job[object]) -> None:
    st.session_state[f"{page}.job"] = job.id
    st.query_params[_PARAMETER] = job.id
