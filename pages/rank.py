"""Rank: which of several answers does the model hold the likeliest?"""

import streamlit as st

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/rank.py")

# Nothing else may run before the entry point.
from components.jobs.current_job import current_job, gone, start_several  # noqa: E402
from components.jobs.history_sync import keeping  # noqa: E402
from components.rank.form import rank_form, restore  # noqa: E402
from components.rank.results import show_ranking  # noqa: E402
from components.shell.messages import show_error  # noqa: E402
from lib.errors import CandorError  # noqa: E402

st.title("Which answer does the model hold the likeliest?")
job = current_job("rank")
restore(job)
with st.container():
    asked = rank_form(st.session_state["model"])
problem = asked if isinstance(asked, CandorError) else None
if isinstance(asked, tuple):
    job, problem = start_several("rank", asked)
with st.container():
    if problem is not None:
        show_error(problem)
    if job is None and gone():
        st.info("The ranking that this link names is no longer here. Ask again.", icon=":material/link_off:")
show_ranking(job)
if job is not None and job.over:
    keeping(job)
