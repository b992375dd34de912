"""Explore: how sure was the model of every token it read and wrote?"""

import streamlit as st

from components.entry import require_entrypoint

require_entrypoint("pages/explore.py")

# Nothing else may run before the entry point.
from components.answer import show_answer  # noqa: E402
from components.notices import show_error  # noqa: E402
from components.prompt_form import prompt_form, restore  # noqa: E402
from components.session import current_job, start_job  # noqa: E402
from lib.errors import CandorError  # noqa: E402

st.title("How sure was the model of every token?")
job = current_job("explore")
if job is not None:
    restore(job.subject.request)
asked = prompt_form()
problem = asked if isinstance(asked, CandorError) else None
if asked is not None and problem is None:
    job, problem = start_job("explore", asked)
if problem is not None:
    show_error(problem)
show_answer(job)
