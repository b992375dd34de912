"""Two to four prompts for the same model, and how it should answer them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.jobs.estimate import budget
from components.pickers.capabilities import Limits, limits_of
from components.shell.escaping import as_text
from lib.core.request import Message, Request
from lib.core.sources import Source
from lib.errors import CandorError, InvalidRequest
from lib.jobs.job import Job
from lib.jobs.plan import Several
from lib.jobs.run import Question

RAW, CHAT = "Raw", "Chat"
MAX_PROMPTS = 4
MAX_SAMPLES = 16
_DEFAULTS = {
    "prompts.mode": CHAT,
    "prompts.count": 2,
    "prompts.max_tokens": 40,
    "prompts.temperature": 0.0,
    "prompts.runs": 5,
}
_SHORT = "A customer writes that the laptop they ordered three weeks ago has still not arrived. Write a response."
_DETAILED = (
    "You are an experienced customer service agent of an online electronics shop.\n"
    "A customer writes that the laptop they ordered three weeks ago has still not arrived. "
    "They are upset, and need it for work.\n"
    "Write a response that apologises, says what happens next, and lets them choose between waiting and a refund. "
    "Keep it polite and under 80 words."
)
_EXAMPLE = {"prompts.mode": CHAT, "prompts.count": 2, "prompts.prompt.0": _SHORT, "prompts.prompt.1": _DETAILED}


def compare_form(source: Source) -> tuple[Question, ...] | CandorError | None:
    """Show the form; return the questions once Compare is pressed, or why they are invalid."""
    for key, value in _DEFAULTS.items():
        st.session_state.setdefault(key, value)
    mode = _mode_and_example()
    limits = limits_of(source, chat=mode == CHAT)
    _prompts(int(st.session_state["prompts.count"]))
    _sampling()
    questions = _questions(source, mode, limits)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Compare", type="primary", icon=":material/compare:", key="prompts.go", disabled=bool(limits.refusal)
        )
        st.caption(
            as_text(limits.refusal) or (budget(Several("prompts", questions)) if isinstance(questions, tuple) else ""),
            width="content",
        )
    if not limits.prompt_scores and not limits.refusal:
        st.caption(
            "This model doesn't return prompt logprobs, so prompt perplexity and “What helped?” are unavailable. You "
            "still see how confidently each answer begins."
        )
    return questions if pressed else None


def restore(job: Job[Any] | None) -> None:
    """Fill the form with the job's questions, unless something has been typed."""
    if job is None or not isinstance(job.subject, Several) or "prompts.prompt.0" in st.session_state:
        return
    several = job.subject
    count = several.marks[0] if several.marks else len(several.questions)
    requests = [each.request for each in several.questions[: min(count, MAX_PROMPTS)]]
    values = st.session_state
    values["prompts.mode"] = CHAT if requests[0].messages else RAW
    values["prompts.count"] = max(len(requests), 2)
    for number, request in enumerate(requests):
        values[f"prompts.prompt.{number}"] = request.last_user_text
    if several.marks:  # an ablation, which generated nothing
        return
    values["prompts.max_tokens"], values["prompts.temperature"] = requests[0].max_tokens, requests[0].temperature
    values["prompts.runs"] = max(requests[0].n, 2)


def _mode_and_example() -> str:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mode = st.segmented_control(
            "Mode", [CHAT, RAW], key="prompts.mode", required=True, persist_state="session",
            label_visibility="collapsed",
        )  # fmt: skip
        st.caption("Try", width="content")
        st.button(
            "A late laptop, in brief and in detail", key="prompts.example", type="tertiary",
            on_click=st.session_state.update, args=(_EXAMPLE,),
        )  # fmt: skip
    return str(mode)


def _prompts(count: int) -> None:
    for first in range(0, count, 2):
        for number, column in zip(range(first, min(first + 2, count)), st.columns(2, gap="medium"), strict=False):
            column.text_area(
                f"Prompt {number + 1}", key=f"prompts.prompt.{number}", persist_state="session", height=150
            )


def _sampling() -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.number_input("Prompts", 2, MAX_PROMPTS, key="prompts.count", persist_state="session", width=110)
        st.number_input("Max new tokens", 1, 10_000, key="prompts.max_tokens", persist_state="session", width=150)
        temperature = st.slider(
            "Temperature", 0.0, 2.0, step=0.1, key="prompts.temperature", persist_state="session", width=180
        )
        st.number_input(
            "Samples per prompt", 2, MAX_SAMPLES, key="prompts.runs", persist_state="session", width=170,
            disabled=temperature == 0,
            help="At temperature 0 all samples are identical, so one is enough. On Bedrock each sample is one billed "
            "call.",
        )  # fmt: skip


def _questions(source: Source, mode: str, limits: Limits) -> tuple[Question, ...] | CandorError:
    """What the fields ask for, or why that is invalid."""
    values = st.session_state
    typed = [values.get(f"prompts.prompt.{number}") or "" for number in range(int(values["prompts.count"]))]
    prompts = [prompt for prompt in typed if prompt.strip()]
    try:
        if len(prompts) < 2:
            cause = "There is only one prompt." if prompts else "There is no prompt."
            raise InvalidRequest(cause, "Type at least two.")
        if len(set(prompts)) < len(prompts):
            raise InvalidRequest("Two of the prompts are the same.", "Change one of them, or clear it.")
        return tuple(Question(source, _request(prompt, mode, limits)) for prompt in prompts)
    except CandorError as error:
        return error


def _request(prompt: str, mode: str, limits: Limits) -> Request:
    values = st.session_state
    temperature = float(values["prompts.temperature"])
    return Request(
        prompt=None if mode == CHAT else prompt,
        messages=(Message("user", prompt),) if mode == CHAT else (),
        max_tokens=int(values["prompts.max_tokens"]),
        temperature=temperature,
        k=min(10, limits.max_k),
        prompt_scores=limits.prompt_scores,
        n=int(values["prompts.runs"]) if temperature else 1,
    )
