"""What to ask next about an answer's doubtful words: drafted, edited, and sent with one press."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from components.doubts.flagged import Flagged
from components.doubts.form import SENT
from components.jobs.current_job import Run, start
from components.jobs.estimate import budget
from components.shell.messages import show_error
from lib.core.request import Mode, mode_of
from lib.core.sources import NO_MODEL, Source
from lib.doubts.follow_up import clarifying_question, question_at_the_end, retrieval_query, verification_prompt
from lib.errors import InvalidRequest
from lib.policies.policy import Action
from lib.studies.doubts import DoubtsPlan

_HEIGHT = 140
_KINDS: dict[str, Callable[..., str]] = {
    "Retrieval query": retrieval_query,
    "Clarifying question": clarifying_question,
    "Check of each detail": verification_prompt,
}
_USUAL = {
    Action.RETRIEVE: "Retrieval query",
    Action.CLARIFY: "Clarifying question",
    Action.VERIFY: "Check of each detail",
    Action.FALL_BACK: "Check of each detail",
    Action.PERSON: "Check of each detail",
}


def follow_up(job: Run, found: Flagged, action: Action) -> None:
    """Show the drafts; a press on Send asks the sidebar's model. Nothing without flags."""
    if not found.flags:
        return
    with st.expander("Draft a follow-up", icon=":material/edit_note:", expanded=action is not Action.ANSWER):
        kinds = list(_KINDS)
        usual = _USUAL.get(action, kinds[0])
        kind = st.segmented_control(
            "Follow-up", kinds, default=usual, required=True, key=f"doubts.follow.kind.{action}",
            label_visibility="collapsed",
        )  # fmt: skip
        request = found.doubts.completion.request
        question = "" if request is None else request.last_user_text
        if request is not None and mode_of(request) is Mode.RAW:
            question = question_at_the_end(question)
        draft = _KINDS[str(kind)](question, found.flags)
        text = _edited(str(kind), draft, found.doubts.completion.text)
        _send(job, text)


def _edited(kind: str, draft: str, answer: str) -> str:
    """Show the draft to edit.

    Once it is edited, a new one, as after another threshold, does not take its place, except that of another answer.
    """
    key, last = f"doubts.follow.{kind}", f"doubts.follow.{kind}.draft"
    about, before = st.session_state.get(last, (answer, None))
    if about != answer or st.session_state.get(key) in (None, before):
        st.session_state[key] = draft
    st.session_state[last] = (answer, draft)
    text = st.text_area("Draft", key=key, height=_HEIGHT)
    if text != draft:
        st.button("Draft again", icon=":material/refresh:", type="tertiary", on_click=_reset, args=(key, draft))
    return text or ""


def _reset(key: str, draft: str) -> None:
    st.session_state[key] = draft


def _send(job: Run, text: str) -> None:
    source: Source = st.session_state["model"]
    plan = DoubtsPlan(source, text, max_tokens=200)
    try:
        price = budget(plan.calls())
    except InvalidRequest:
        price = ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Send", icon=":material/send:", key="doubts.follow.send", disabled=not price or source == NO_MODEL,
            help="Asks the sidebar's model, in chat mode. The answer takes the place of this one, which stays in "
            "History.",
        )  # fmt: skip
        st.caption(price, width="content")
    if pressed:
        _, error = start("doubts", plan, takes=(job.plan.page,) if job.plan is not None else ("explore",))
        if error is not None:
            show_error(error)
            return
        st.session_state[SENT] = text
        st.rerun()
