"""Explore: how sure was the model of every token it read and wrote?"""

import streamlit as st

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/explore.py")

# Nothing else may run before the entry point.
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
    asked = prompt_form(policy(), st.session_state["model"])
problem = asked if isinstance(asked, CandorError) else None
if isinstance(asked, SavedResponse):
    job, problem = open_saved("explore", asked)
elif isinstance(asked, Request):
    job, problem = start_job("explore", asked)
with st.container():
    if problem is not None:
        show_error(problem)
    if job is None and gone():
        st.info("The answer that this link names is no longer here. Ask again.", icon=":material/link_off:")
    if job is not None and isinstance(job.subject, Question) and not is_about(job.subject.original_request):
        st.caption("Below is still the answer to the prompt before.")
show_answer(job)
