"""Branching from a token: something else is put in its place, and the model goes on from there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from components.jobs.current_job import start_branch
from components.shell.escaping import as_text
from components.shell.messages import show_error
from components.shell.services import check_allowed, engines
from lib import formatting
from lib.core.branching import CUT_ALONE, Fork, fork_of, obstacle
from lib.core.completion import Completion
from lib.core.request import MAX_SAMPLES, Request
from lib.display.export import alternatives
from lib.display.token_map_view import TokenMapView
from lib.errors import CandorError, InvalidRequest
from lib.jobs.job import Job
from lib.jobs.run import Question

_AGAIN, _TYPED = -1, -2  # in the place of an alternative's id
_PAGE = "explore"


def branch_here(job: Job[Any], view: TokenMapView, cell: int | None) -> None:
    """The form for a branch at the pinned cell; greyed, with the reason, where there can be none."""
    if cell is None:
        return
    row = view.tokens_of(cell)[0]
    question = job.subject
    reason = _reason(question, view.completion, row)
    known = isinstance(question, Question)
    with st.expander("Branch here", icon=":material/call_split:", key="branch"):
        choices = _choices(view, row)
        choice = st.selectbox(
            "Go on with", list(choices), format_func=choices.__getitem__, key=f"branch.choice.{row}",
            disabled=not known,
            help="What stands before stays. This takes the token's place, and the model goes on from there.",
        )  # fmt: skip
        typed = ""
        if choice == _TYPED:
            typed = st.text_input(
                "Text to put here",
                key="branch.text",
                help="It is put as it stands: a word usually begins with a space.",
            )
        with st.container(horizontal=True, gap="small"):
            pressed = st.button(
                "Branch", key="branch.go", icon=":material/call_split:", disabled=bool(reason), type="primary"
            )
            with st.popover("Parameters", icon=":material/tune:", disabled=bool(reason)):
                parameters = _parameters(question.request) if isinstance(question, Question) else None
        if reason:
            st.caption(as_text(formatting.sentence(reason)))
        if pressed and parameters is not None and isinstance(question, Question):
            problem = _start(job, question, view.completion, row, choice, choices[choice], typed, parameters)
            if problem is None:
                st.rerun()
            show_error(problem)


def _reason(question: object, done: Completion, row: int) -> str:
    """Why there can be no branch here, "" where there can be one."""
    if not isinstance(question, Question):
        return "This response was opened from a file: there is no model to go on with."
    if (found := obstacle(done, row)) is not None:
        return str(found)
    if not engines().ready(question.source):
        return ""  # it turns out when it is tried
    _, request = fork_of(done, row, (), "", question.request, question.original_request)
    return engines().get(question.source).continuation_obstacle(request) if request.prefix_ids else ""


def _choices(view: TokenMapView, row: int) -> dict[int, str]:
    """What can stand there, by its id: the alternatives, and the two that are none."""
    listed = alternatives(view.tokens, row)
    named = {
        int(number): f"{formatting.visible(text)}   {formatting.percent(share)}"
        for number, text, share, role in zip(
            listed["id"].fillna(-1), listed["text"], listed["probability"], listed["role"], strict=True
        )
        if role == "alternative" and number >= 0
    }
    return {**named, _TYPED: "Text of your own …", _AGAIN: "Whatever the model draws: again from here"}


def _parameters(before: Request) -> Request:
    """How the model shall go on; the parameters of the answer before unless changed."""
    tokens = st.number_input("Tokens to write", 1, 100_000, max(before.max_tokens, 1), key="branch.max_tokens")
    temperature = st.slider("Temperature", 0.0, 2.0, float(min(before.temperature, 2.0)), 0.1, key="branch.temperature")
    top_p = st.slider("Top-p", 0.05, 1.0, float(max(before.top_p, 0.05)), 0.05, key="branch.top_p")
    seed = st.number_input("Seed", 0, 2**31, None, key="branch.seed", placeholder="random")
    number = st.number_input("Branches", 1, MAX_SAMPLES, 1, key="branch.n", help="So many from the same place.")
    drawn = None if seed is None else int(seed)
    return replace(
        before, max_tokens=int(tokens), temperature=temperature, top_p=top_p, seed=drawn, n=int(number)
    )  # fmt: skip


def _start(
    job: Job[Any],
    question: Question,
    done: Completion,
    row: int,
    choice: int,
    label: str,
    typed: str,
    parameters: Request,
) -> CandorError | None:
    """Start the branch; returns why it cannot be, or None."""
    try:
        check_allowed(question.source)  # spelling a text already asks the model
        fork, request = _fork(question, done, row, choice, label, typed, parameters)
        start_branch(_PAGE, job, Question(question.source, request, fork))
    except CandorError as error:
        return error
    return None


def _fork(
    question: Question, done: Completion, row: int, choice: int, label: str, typed: str, parameters: Request
) -> tuple[Fork, Request]:
    if choice >= 0:
        return fork_of(done, row, (choice,), label.rsplit("   ", 1)[0], parameters, question.original_request)
    fork, request = fork_of(done, row, (), "", parameters, question.original_request)
    if choice == _AGAIN:
        return fork, request
    if not typed:
        raise InvalidRequest("There is no text to put here.", "Type what the answer shall go on with.")
    with st.spinner("Reading it as the model would"):
        ids, otherwise = engines().get(question.source).encode_continuation(request, typed)
    fork, request = fork_of(done, row, ids, formatting.visible(typed), parameters, question.original_request)
    return (replace(fork, warning=CUT_ALONE) if otherwise else fork), request
