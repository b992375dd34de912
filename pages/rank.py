"""Rank: which answer does the model find most likely?"""

import streamlit as st

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/rank.py")

# Nothing else may run before the entry point.
from components.jobs.current_job import current_job, gone, start_several  # noqa: E402
from components.jobs.history_sync import keeping  # noqa: E402
from components.rank.form import rank_form, restore  # noqa: E402
from components.rank.progress import show_ranking  # noqa: E402
from components.shell.messages import show_error  # noqa: E402
from lib.errors import CandorError  # noqa: E402

st.title("Which answer does the model find most likely?")
job = current_job("rank")
restore(job)
with st.container():
    questions = rank_form(st.session_state["model"])
problem = questions if isinstance(questions, CandorError) else None
if isinstance(questions, tuple):
    job, problem = start_several("rank", questions)
with st.container():
    if problem is not None:
        show_error(problem)
    if job is None and gone():
        st.info("The ranking in this link no longer exists. Rank again.", icon=":material/link_off:")
show_ranking(job)
if job is not None and job.over:
    keeping(job)
