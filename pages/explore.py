"""Explore: how sure was the model of every token?"""

import streamlit as st

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/explore.py")

# Everything else must be imported after the entry point.
from components.explore.answer import show_answer  # noqa: E402
from components.explore.form import is_about, prompt_form, restore  # noqa: E402
from components.jobs.current_job import current_job, gone, open_saved, start_job  # noqa: E402
from components.shell.messages import show_error  # noqa: E402
from components.shell.services import policy  # noqa: E402
from lib.core.request import Request  # noqa: E402
from lib.errors import CandorError  # noqa: E402
from lib.jobs.run import Question  # noqa: E402
from lib.studies.saved_response import SavedResponse  # noqa: E402

st.title("How sure was the model of every token?")
job = current_job("explore")
if job is not None and isinstance(job.subject, Question):
    restore(job.subject.original_request)
with st.container():
    submitted = prompt_form(policy(), st.session_state["model"])
problem = submitted if isinstance(submitted, CandorError) else None
if isinstance(submitted, SavedResponse):
    job, problem = open_saved("explore", submitted)
elif isinstance(submitted, Request):
    job, problem = start_job("explore", submitted)
with st.container():
    if problem is not None:
        show_error(problem)
    if job is None and gone():
        st.info("The answer this link points to is no longer available. Generate it again.", icon=":material/link_off:")
    if job is not None and isinstance(job.subject, Question) and not is_about(job.subject.original_request):
        st.caption("Still showing the answer to your previous prompt.")
show_answer(job)
