"""Start a comparison whose sides may be saved runs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.jobs.current_job import current_job, start_several
from components.jobs.history_sync import keep, stop
from components.shell.services import check_allowed, engines, jobs, owner, visitor
from lib.errors import CandorError
from lib.jobs.job import Job
from lib.jobs.plan import ask_several
from lib.jobs.run import Question
from lib.studies.model_comparison import Side, comparison, scored_now, with_saved

_PAGE = "models"


def start_comparison(sides: tuple[Side, ...]) -> tuple[Job[Any] | None, CandorError | None]:
    """Start one job for both sides; return it, or the previous job and why no new one could start."""
    questions = tuple(side for side in sides if isinstance(side, Question))
    if len(questions) == len(sides):
        return start_several(_PAGE, questions)
    before = current_job(_PAGE)
    try:
        for each in questions:
            check_allowed(each.source)
        visitor().check_characters(sum(each.max_characters_read for each in questions))
        if before is not None and not before.over:
            stop(before)
        work = with_saved(sides, ask_several(engines(), scored_now(_PAGE, sides), owner=owner()))
        job = jobs().start(work, subject=comparison(_PAGE, sides), by=visitor())
    except CandorError as error:
        return before, error
    keep(_PAGE, job)
    st.session_state[f"{_PAGE}.job"] = job.id
    st.query_params["run"] = job.id
    return job, None
