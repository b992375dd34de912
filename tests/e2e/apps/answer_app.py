"""A full answer as a page shows it, with reasoning and with token text that looks like markup.

Run by test_answer.py.
"""

from __future__ import annotations

from lib.core.completion import Completion
from lib.jobs.job import Job
from tests.e2e.apps.token_map_app import examples


def page() -> None:
    """Draw the page."""
    import streamlit as st

    from components.explore.answer import show_answer

    st.set_page_config(layout="wide")
    if "job" not in st.session_state:
        job: Job[Completion] = Job(lambda _: examples()["whole"])
        job.run()
        st.session_state.job = job
    show_answer(st.session_state.job)


if __name__ == "__main__":
    page()
