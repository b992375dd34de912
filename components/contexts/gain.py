"""The answer whose gain is scored: typed, or the model's own."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from components.jobs.asking_page import planned
from components.jobs.current_job import start
from components.jobs.form import fill
from components.pickers.capabilities import limits_of
from components.shell.messages import show_error
from lib.contexts.scorings import GAIN
from lib.core.completion import Completion
from lib.core.request import Mode
from lib.errors import CandorError
from lib.jobs.batch import Batch
from lib.studies.contexts import ContextsPlan, scored_by

_PAGE = "contexts"


def answer_field(
    make: Callable[[], ContextsPlan], price: Callable[[ContextsPlan], str]
) -> ContextsPlan | CandorError | None:
    """Show the field for the answer and, while it is empty, a button that gets the model's own; its plan if pressed.

    make: the plan that gets it; raises InvalidRequest. price: what it takes.
    """
    st.text_area(
        "Answer to score", key="contexts.answer", persist_state="session", height=68,
        placeholder="The same answer, scored with each passage and without any",
    )  # fmt: skip
    if (st.session_state.get("contexts.answer") or "").strip():
        return None
    plan = planned(make)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Get the model's answer", icon=":material/chat:", key="contexts.own.go",
            disabled=not isinstance(plan, ContextsPlan),
            help="Answers from all passages. You can then score the passages by that answer.",
        )  # fmt: skip
        st.caption(price(plan) if isinstance(plan, ContextsPlan) else "", width="content")
    return plan if pressed else None


def score_by(plan: ContextsPlan, batch: Batch, name: str, done: Completion) -> None:
    """Offer to score the passages by a full answer. name: which answer it is, for the button's key."""
    text = done.text.strip()
    if not plan.prompt_scores or not text or (GAIN in plan.scorings and plan.answer == text):
        return
    if not limits_of(plan.source, chat=plan.mode is Mode.CHAT, ask=False).can.scores_candidates:
        return
    asked = scored_by(plan, text)
    values = {"answer": asked.answer, "scorings": list(asked.scorings)}
    pressed = st.button(
        "Score passages by this answer", key=f"contexts.gain.{name}", icon=":material/add_chart:", type="tertiary",
        on_click=fill, args=(_PAGE, values), help="Adds the answer gain. Reuses the calls already made.",
    )  # fmt: skip
    if pressed:
        _, problem = start(_PAGE, asked, batch, known_of=plan)
        if problem is not None:
            show_error(problem)
        else:
            st.rerun()
