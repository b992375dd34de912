"""Prompts: which prompt does the model understand better?"""

import streamlit as st

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/prompts.py")

# Nothing else may run before the entry point.
from components.jobs.current_job import current_job, gone, start_several  # noqa: E402
from components.jobs.history_sync import keeping  # noqa: E402
from components.prompts.ablation import what_helped  # noqa: E402
from components.prompts.form import compare_form, restore  # noqa: E402
from components.prompts.results import show_prompts  # noqa: E402
from components.prompts.versions import versions  # noqa: E402
from components.shell.messages import show_error  # noqa: E402
from lib.errors import CandorError  # noqa: E402

st.title("Which prompt does the model understand better?")
job = current_job("prompts")
restore(job)
with st.container():
    questions = compare_form(st.session_state["model"])
problem = questions if isinstance(questions, CandorError) else None
if isinstance(questions, tuple):
    job, problem = start_several("prompts", questions)
with st.container():
    if problem is not None:
        show_error(problem)
    if job is None and gone():
        st.info("The comparison in this link no longer exists. Compare again.", icon=":material/link_off:")
show_prompts(job)
versions(int(st.session_state["prompts.count"]))
what_helped(job)
if job is not None and job.over:
    keeping(job, what="The comparison")
