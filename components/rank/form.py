"""What to rank: samples of the model, candidates of the visitor's own, or both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from components.jobs.estimate import budget
from components.pickers.capabilities import Limits, limits_of
from components.shell.escaping import as_text
from lib.core.request import MAX_SAMPLES, Message, Request
from lib.core.sources import Source
from lib.errors import CandorError, InvalidRequest
from lib.jobs.job import Job
from lib.jobs.plan import Several
from lib.jobs.run import Question
from lib.scores.ranking import joined

RAW, CHAT = "Raw", "Chat"
MAX_CANDIDATES = 64
_DEFAULTS = {"rank.mode": CHAT, "rank.n": 4, "rank.max_tokens": 40, "rank.temperature": 1.0}
_PROVERB = {
    "rank.mode": CHAT,
    "rank.prompt": "Translate into English: Battre le fer pendant qu'il est chaud",
    "rank.given": "Strike while the iron is hot.\nBeat the iron while it is hot.",
    "rank.n": 0,
}
_CAPITAL = {
    "rank.mode": CHAT,
    "rank.prompt": "What is the capital of Australia? Answer in one word.",
    "rank.given": "Canberra.\nSydney.",
    "rank.n": 8,
    "rank.max_tokens": 12,
}
_EXAMPLES = {"Two translations of a proverb": _PROVERB, "A capital, sampled eight times": _CAPITAL}


def rank_form(source: Source) -> tuple[Question, ...] | CandorError | None:
    """Show the form; return the questions once Rank is pressed, or why they are invalid."""
    for key, value in _DEFAULTS.items():
        st.session_state.setdefault(key, value)
    mode = _mode_and_examples()
    limits = limits_of(source, chat=mode == CHAT)
    _fields()
    questions = _questions(source, mode, limits)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Rank", type="primary", icon=":material/sort:", key="rank.go", disabled=bool(limits.refusal)
        )
        st.caption(
            as_text(limits.refusal) or (budget(Several("rank", questions)) if isinstance(questions, tuple) else ""),
            width="content",
        )
    if not limits.given_scores and not limits.refusal:
        st.caption(
            "This model doesn't return prompt logprobs, so it can't score your own candidates. It can still rank its "
            "samples."
        )
    return questions if pressed and not limits.refusal else None


def restore(job: Job[Any] | None) -> None:
    """Fill the form with the job's questions, unless something has been typed."""
    if job is None or not isinstance(job.subject, Several) or "rank.prompt" in st.session_state:
        return
    questions = job.subject.questions
    request = questions[0].request
    values = st.session_state
    values["rank.mode"] = CHAT if request.messages else RAW
    values["rank.prompt"] = request.last_user_text
    candidates = [text for each in questions for text in each.candidates]
    values["rank.given"] = "\n".join(text.strip(" ").replace("\n", r"\n") for text in candidates)
    sampled = [each.request for each in questions if not each.candidates]
    values["rank.n"] = sampled[0].n if sampled else 0
    if sampled:
        values["rank.max_tokens"], values["rank.temperature"] = sampled[0].max_tokens, sampled[0].temperature


def _mode_and_examples() -> str:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mode = st.segmented_control(
            "Mode", [CHAT, RAW], key="rank.mode", required=True, persist_state="session",
            label_visibility="collapsed",
        )  # fmt: skip
        st.caption("Try", width="content")
        for name, example in _EXAMPLES.items():
            st.button(
                name, key=f"rank.example.{name}", type="tertiary", on_click=st.session_state.update, args=(example,)
            )
    return str(mode)


def _fields() -> None:
    st.text_area(
        "Prompt", key="rank.prompt", persist_state="session", height=84, placeholder="The question to answer",
    )  # fmt: skip
    left, right = st.columns([1.6, 1], gap="medium")
    left.text_area(
        "Candidates, one per line", key="rank.given", persist_state="session", height=150,
        placeholder="Optional: answers of your own",
        help=r"Each is scored as if the model had generated it. Type \n for a line break within a candidate.",
    )  # fmt: skip
    with right:
        st.number_input(
            "Samples", 0, MAX_SAMPLES, key="rank.n", persist_state="session",
            help="Answers the model samples itself. 0 ranks only your candidates. On Bedrock, each sample is one "
            "billed call.",
        )  # fmt: skip
        first, second = st.columns(2)
        first.number_input("Max new tokens", 1, 10_000, key="rank.max_tokens", persist_state="session")
        second.slider("Temperature", 0.0, 2.0, step=0.1, key="rank.temperature", persist_state="session")


def _questions(source: Source, mode: str, limits: Limits) -> tuple[Question, ...] | CandorError:
    """What the fields ask for, or why that is invalid."""
    n = int(st.session_state["rank.n"])
    try:
        candidates = _candidates(n, limits)
        request = _request(mode, max(n, 1), limits)
    except CandorError as error:
        return error
    sampled = (Question(source, request),) if n else ()
    if not candidates or not limits.given_scores:
        return sampled
    texts = tuple(joined(request.prompt or "", text) for text in candidates)
    return (*sampled, Question(source, replace(request, n=1, max_tokens=0), candidates=texts))


def _candidates(n: int, limits: Limits) -> list[str]:
    """The candidates as typed. n: samples to rank beside them. Raises InvalidRequest."""
    lines = [line.replace(r"\n", "\n") for line in (st.session_state.get("rank.given") or "").split("\n")]
    candidates = [line for line in lines if line.strip()]
    if candidates and not n and not limits.given_scores:
        raise InvalidRequest(
            "This model doesn't return prompt logprobs, so it can't score your candidates.",
            "Set Samples to 1 or more, or choose a model that returns prompt logprobs.",
        )
    if not n and not candidates:
        raise InvalidRequest("There is nothing to rank.", "Set Samples to 1 or more, or add candidates.")
    if len(candidates) > MAX_CANDIDATES:
        raise InvalidRequest(f"There are {len(candidates)} candidates.", f"Keep at most {MAX_CANDIDATES}.")
    return candidates


def _request(mode: str, n: int, limits: Limits) -> Request:
    values = st.session_state
    prompt = values.get("rank.prompt") or ""
    return Request(
        prompt=None if mode == CHAT else prompt,
        messages=(Message("user", prompt),) if mode == CHAT else (),
        max_tokens=int(values["rank.max_tokens"]),
        temperature=float(values["rank.temperature"]),
        k=min(5, limits.max_k),
        prompt_scores=limits.prompt_scores,
        n=n,
    )
