"""Models: where do two models disagree on the same text?"""

import streamlit as st

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/models.py")

# Nothing else may run before the entry point.
from components.jobs.current_job import current_job, gone  # noqa: E402
from components.jobs.history_sync import keeping  # noqa: E402
from components.models.form import models_form, restore  # noqa: E402
from components.models.results import show_readings  # noqa: E402
from components.models.start import start_comparison  # noqa: E402
from components.shell.messages import show_error  # noqa: E402
from lib.errors import CandorError  # noqa: E402

st.title("Where do two models disagree on the same text?")
job = current_job("models")
restore(job)
with st.container():
    sides = models_form(st.session_state["model"])
problem = sides if isinstance(sides, CandorError) else None
if isinstance(sides, tuple):
    job, problem = start_comparison(sides)
with st.container():
    if problem is not None:
        show_error(problem)
    if job is None and gone():
        st.info("The comparison in this link no longer exists. Compare again.", icon=":material/link_off:")
show_readings(job)
if job is not None and job.over:
    keeping(job)
