"""Two to four prompts for the same model, and how it is to answer them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.jobs.estimate import budget
from components.pickers.capabilities import limits_of
from components.shell.escaping import as_text
from lib.core.request import Message, Request
from lib.core.sources import Source
from lib.errors import CandorError, InvalidRequest
from lib.jobs.job import Job
from lib.jobs.plan import Several
from lib.jobs.run import Question

RAW, CHAT = "Raw text", "Chat"
MOST = 4  # prompts
_MOST_RUNS = 16
_DEFAULTS = {
    "prompts.mode": CHAT, "prompts.count": 2, "prompts.max_tokens": 40, "prompts.temperature": 0.0, "prompts.runs": 5,
}  # fmt: skip
_COMPLAINT = "A customer writes that the laptop they ordered three weeks ago has still not arrived. Write a response."
_IN_FULL = (
    "You are an experienced customer service agent of an online electronics shop.\n"
    "A customer writes that the laptop they ordered three weeks ago has still not arrived. "
    "They are upset, and need it for work.\n"
    "Write a response that apologises, says what happens next, and lets them choose between waiting and a refund. "
    "Keep it polite and under 80 words."
)
_EXAMPLE = {"prompts.mode": CHAT, "prompts.count": 2, "prompts.prompt.0": _COMPLAINT, "prompts.prompt.1": _IN_FULL}


def compare_form(source: Source) -> tuple[Question, ...] | CandorError | None:
    """The questions when Compare was pressed, or why they cannot be asked. What was typed stays."""
    for key, value in _DEFAULTS.items():
        st.session_state.setdefault(key, value)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mode = st.segmented_control(
            "How the model reads them", [CHAT, RAW], key="prompts.mode", required=True, persist_state="session",
            label_visibility="collapsed",
        )  # fmt: skip
        st.caption("Try", width="content")
        st.button(
            "A late laptop, bare and in full", key="prompts.example", type="tertiary",
            on_click=st.session_state.update, args=(_EXAMPLE,),
        )  # fmt: skip
    limits = limits_of(source, chat=mode == CHAT)
    count = int(st.session_state["prompts.count"])
    for first in range(0, count, 2):
        for number, column in zip(range(first, min(first + 2, count)), st.columns(2, gap="medium"), strict=False):
            column.text_area(
                f"Prompt {number + 1}", key=f"prompts.prompt.{number}", persist_state="session", height=150
            )
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.number_input("Prompts", 2, MOST, key="prompts.count", persist_state="session", width=110)
        st.number_input("Tokens to write", 1, 10_000, key="prompts.max_tokens", persist_state="session", width=140)
        temperature = st.slider(
            "Temperature", 0.0, 2.0, step=0.1, key="prompts.temperature", persist_state="session", width=180
        )
        st.number_input(
            "Runs of each", 2, _MOST_RUNS, key="prompts.runs", persist_state="session", width=130,
            disabled=temperature == 0,
            help="At temperature 0 every run is the same, and one is enough.",
        )  # fmt: skip
    asked = _questions(source, mode, limits.max_k, scores=limits.prompt_scores)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Compare", type="primary", icon=":material/compare:", key="prompts.go", disabled=bool(limits.refusal)
        )
        st.caption(
            as_text(limits.refusal) or (budget(Several("prompts", asked)) if isinstance(asked, tuple) else ""),
            width="content",
        )
    if not limits.prompt_scores and not limits.refusal:
        st.caption(
            "This model returns no scores of a prompt: the prompts' perplexity and “What helped?” need them. "
            "How surely each answer begins is shown all the same."
        )
    return asked if pressed else None


def restore(job: Job[Any] | None) -> None:
    """Fill the form with what was asked before, unless something has been typed already."""
    if job is None or not isinstance(job.subject, Several) or "prompts.prompt.0" in st.session_state:
        return
    several = job.subject
    count = several.marks[0] if several.marks else len(several.questions)
    requests = [each.request for each in several.questions[: min(count, MOST)]]
    values = st.session_state
    values["prompts.mode"] = CHAT if requests[0].messages else RAW
    values["prompts.count"] = max(len(requests), 2)
    for number, request in enumerate(requests):
        values[f"prompts.prompt.{number}"] = request.last_user_text
    if several.marks:  # it wrote nothing
        return
    values["prompts.max_tokens"], values["prompts.temperature"] = requests[0].max_tokens, requests[0].temperature
    values["prompts.runs"] = max(requests[0].n, 2)


def _questions(source: Source, mode: str, max_k: int, *, scores: bool) -> tuple[Question, ...] | CandorError:
    values = st.session_state
    prompts = [values.get(f"prompts.prompt.{number}") or "" for number in range(int(values["prompts.count"]))]
    given = [prompt for prompt in prompts if prompt.strip()]
    try:
        if len(given) < 2:
            raise InvalidRequest("There is only one prompt." if given else "There is no prompt.", "Type at least two.")
        if len(set(given)) < len(given):
            raise InvalidRequest("Two of the prompts are the same.", "Change one of them, or take it out.")
        temperature = float(values["prompts.temperature"])
        requests = [
            Request(
                prompt=None if mode == CHAT else prompt,
                messages=(Message("user", prompt),) if mode == CHAT else (),
                max_tokens=int(values["prompts.max_tokens"]),
                temperature=temperature,
                k=min(10, max_k),
                prompt_scores=scores,
                n=int(values["prompts.runs"]) if temperature else 1,
            )
            for prompt in given
        ]
    except CandorError as error:
        return error
    return tuple(Question(source, request) for request in requests)
