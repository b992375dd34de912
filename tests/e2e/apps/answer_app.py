"""A full answer as a page shows it, with reasoning and with token text that looks like markup.

Run by test_answer.py.
"""

from __future__ import annotations

from lib.jobs.batch import batch_of
from lib.jobs.job import Job
from tests.e2e.apps.token_map_app import examples


def page() -> None:
    """Draw the page."""
    import streamlit as st

    from components.explore.page import EXPLORE

    st.set_page_config(layout="wide")
    if "job" not in st.session_state:
        job = Job(lambda _: batch_of([examples()["whole"]]))
        job.run()
        st.session_state.job = job
    EXPLORE.show_job(st.session_state.job)


if __name__ == "__main__":
    page()
