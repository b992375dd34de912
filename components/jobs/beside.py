"""A second plan about the answers on a page: the button that starts it, with what it takes."""

from __future__ import annotations

import streamlit as st

from components.jobs.current_job import Run, start_beside
from components.jobs.estimate import budget
from components.shell.escaping import as_text
from components.shell.messages import show_error
from lib.errors import InvalidRequest
from lib.jobs.plan import Plan


def ask_beside(page: str, plan: Plan, of: Run, place: str, *, label: str, icon: str) -> None:
    """Show the button with the plan's price, or what is missing for it; a press starts the plan. See `start_beside`."""
    try:
        price = budget(plan.calls())
    except InvalidRequest as error:
        price = as_text(error.remedy)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(label, icon=icon, key=f"{page}.{place}.go")
        st.caption(price, width="content")
    if not pressed:
        return
    if (problem := start_beside(page, plan, of, place)) is not None:
        show_error(problem)
    else:
        st.rerun()
