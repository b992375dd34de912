"""What to rank: answers that the model draws, texts that are given, or both."""

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

RAW, CHAT = "Raw text", "Chat"
_MOST_GIVEN = 64
_DEFAULTS = {"rank.mode": CHAT, "rank.n": 4, "rank.max_tokens": 40, "rank.temperature": 1.0}
_PROVERB = {
    "rank.mode": CHAT,
    "rank.prompt": "Translate into English: Battre le fer pendant qu'il est chaud",
    "rank.given": "Strike while the iron is hot.\nBeat the iron while it is hot.",
    "rank.n": 0,
}
_CAPITAL = {"rank.mode": CHAT, "rank.prompt": "What is the capital of Australia? Answer in one word.", "rank.n": 8}
_CAPITAL |= {"rank.given": "Canberra.\nSydney.", "rank.max_tokens": 12}
_EXAMPLES = {"A proverb, translated twice": _PROVERB, "A capital, asked eight times": _CAPITAL}


def rank_form(source: Source) -> tuple[Question, ...] | CandorError | None:
    """The questions when Rank was pressed, or why they cannot be asked. What was typed stays."""
    for key, value in _DEFAULTS.items():
        st.session_state.setdefault(key, value)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mode = st.segmented_control(
            "How the model reads it", [CHAT, RAW], key="rank.mode", required=True, persist_state="session",
            label_visibility="collapsed",
        )  # fmt: skip
        st.caption("Try", width="content")
        for name, example in _EXAMPLES.items():
            st.button(
                name, key=f"rank.example.{name}", type="tertiary", on_click=st.session_state.update, args=(example,)
            )
    limits = limits_of(source, chat=mode == CHAT)
    st.text_area(
        "Prompt", key="rank.prompt", persist_state="session", height=84, placeholder="What is to be answered",
    )  # fmt: skip
    left, right = st.columns([1.6, 1], gap="medium")
    left.text_area(
        "Your own candidates, one per line", key="rank.given", persist_state="session", height=150,
        placeholder="Strike while the iron is hot.\nBeat the iron while it is hot.",
        help=r"Each is scored as if the model had written it. Write \n for a line break within one.",
    )  # fmt: skip
    with right:
        st.number_input(
            "Answers to draw", 0, MAX_SAMPLES, key="rank.n", persist_state="session",
            help="The model answers so many times by itself. 0: only your own candidates.",
        )  # fmt: skip
        first, second = st.columns(2)
        first.number_input("Tokens to write", 1, 10_000, key="rank.max_tokens", persist_state="session")
        second.slider("Temperature", 0.0, 2.0, step=0.1, key="rank.temperature", persist_state="session")
    asked = _questions(source, mode, limits)
    ready = isinstance(asked, tuple) and not limits.refusal
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Rank", type="primary", icon=":material/sort:", key="rank.go", disabled=bool(limits.refusal)
        )
        st.caption(
            as_text(limits.refusal) or (budget(Several("rank", asked)) if isinstance(asked, tuple) else ""),
            width="content",
        )
    if not limits.given_scores and not limits.refusal:
        st.caption(
            "This model returns no scores of a prompt, which candidates of your own need. It ranks what it draws."
        )
    return asked if pressed and (ready or isinstance(asked, CandorError)) else None


def restore(job: Job[Any] | None) -> None:
    """Fill the form with what was asked before, unless something has been typed already."""
    if job is None or not isinstance(job.subject, Several) or "rank.prompt" in st.session_state:
        return
    questions = job.subject.questions
    request = questions[0].request
    values = st.session_state
    values["rank.mode"] = CHAT if request.messages else RAW
    values["rank.prompt"] = request.last_user_text
    given = [text for each in questions for text in each.candidates]
    values["rank.given"] = "\n".join(text.strip(" ").replace("\n", r"\n") for text in given)
    drawn = [each.request for each in questions if not each.candidates]
    values["rank.n"] = drawn[0].n if drawn else 0
    if drawn:
        values["rank.max_tokens"], values["rank.temperature"] = drawn[0].max_tokens, drawn[0].temperature


def _questions(source: Source, mode: str, limits: Limits) -> tuple[Question, ...] | CandorError:
    values = st.session_state
    prompt, n = values.get("rank.prompt") or "", int(values["rank.n"])
    lines = [line.replace(r"\n", "\n") for line in (values.get("rank.given") or "").split("\n")]
    given = [line for line in lines if line.strip()]
    try:
        if given and not n and not limits.given_scores:
            raise InvalidRequest(
                "This model returns no scores of a prompt, and so none of your candidates.",
                "Let it draw some answers, or choose a model that returns them.",
            )
        if not n and not given:
            raise InvalidRequest(
                "There is nothing to rank.", "Let the model draw some answers, or give some of your own."
            )
        if len(given) > _MOST_GIVEN:
            raise InvalidRequest(f"There are {len(given)} candidates.", f"Give at most {_MOST_GIVEN}.")
        request = Request(
            prompt=None if mode == CHAT else prompt,
            messages=(Message("user", prompt),) if mode == CHAT else (),
            max_tokens=int(values["rank.max_tokens"]),
            temperature=float(values["rank.temperature"]),
            k=min(5, limits.max_k),
            prompt_scores=limits.prompt_scores,
            n=max(n, 1),
        )
    except CandorError as error:
        return error
    drawn = (Question(source, request),) if n else ()
    texts = tuple(joined(request.prompt or "", text) for text in given)
    scored = (
        (Question(source, replace(request, n=1, max_tokens=0), candidates=texts),)
        if texts and limits.given_scores
        else ()
    )
    return (*drawn, *scored)
