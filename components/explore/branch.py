"""Branch from a token: replace it, and let the model continue from there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from components.jobs.continuation import continuation_obstacle, encode_continuation
from components.jobs.current_job import Run, start_branch
from components.shell.escaping import as_text
from components.shell.messages import show_error
from lib import formatting
from lib.core.branching import CUT_ALONE, Fork, fork_of, obstacle
from lib.core.completion import Completion
from lib.core.request import MAX_SAMPLES, Request
from lib.display.tables import alternatives
from lib.display.token_map_view import TokenMapView
from lib.errors import CandorError, InvalidRequest
from lib.jobs.call import Call
from lib.studies.exploration import ExplorePlan

_RESAMPLE, _TYPED = -1, -2  # options that are not alternatives, in place of a token id
_PAGE = "explore"


@dataclass(frozen=True)
class _Branch:
    """What the form asks for."""

    row: int  # the token to replace, counted through prompt and answer
    choice: int  # id of the alternative, _RESAMPLE or _TYPED
    label: str  # the choice as the form shows it
    typed: str  # text to insert, "" unless the choice is _TYPED
    parameters: Request  # how the model should continue; its prompt is ignored


def branch_here(job: Run, view: TokenMapView, cell: int | None) -> None:
    """Show the form for a branch at the pinned cell, disabled with the reason if there can be none."""
    if cell is None:
        return
    row = view.tokens_of(cell)[0]
    call = job.plan.call if isinstance(job.plan, ExplorePlan) else None
    with st.expander("Branch here", icon=":material/call_split:", key="branch"):
        reason = _reason(call, view.completion, row)
        branch = _form(call, view, row, disabled=bool(reason))
        if reason:
            st.caption(as_text(formatting.sentence(reason)))
        if branch is not None and call is not None:
            problem = _start(job, call, view.completion, branch)
            if problem is None:
                st.rerun()
            show_error(problem)


def _form(call: Call | None, view: TokenMapView, row: int, *, disabled: bool) -> _Branch | None:
    """The branch to start, once the button is pressed."""
    choices = _choices(view, row)
    choice = st.selectbox(
        "Continue with", list(choices), format_func=choices.__getitem__, key=f"branch.choice.{row}",
        disabled=call is None,
        help="Keeps everything before this token, replaces it, and lets the model continue.",
    )  # fmt: skip
    typed = ""
    if choice == _TYPED:
        typed = st.text_input(
            "Text to insert", key="branch.text", help="Inserted exactly as typed. Most words need a leading space."
        )
    with st.container(horizontal=True, gap="small"):
        pressed = st.button("Branch", key="branch.go", icon=":material/call_split:", disabled=disabled, type="primary")
        with st.popover("Parameters", icon=":material/tune:", disabled=disabled):
            parameters = None if call is None else _parameters(call.request)
    if not pressed or parameters is None:
        return None
    return _Branch(row, choice, choices[choice], typed, parameters)


def _reason(call: Call | None, done: Completion, row: int) -> str:
    """Why there can be no branch here; "" if there can."""
    if call is None:
        return "This response came from a file, so there is no model to continue with."
    if (found := obstacle(done, row)) is not None:
        return str(found)
    _, request = fork_of(done, row, (), "", call.request, call.original_request)
    return continuation_obstacle(call.source, request)


def _choices(view: TokenMapView, row: int) -> dict[int, str]:
    """The options by token id: the alternatives, then text to type, then resampling."""
    listed = alternatives(view.tokens, row)
    named = {
        int(number): f"{formatting.visible(text)}   {formatting.percent(share)}"
        for number, text, share, role in zip(
            listed["id"].fillna(-1), listed["text"], listed["probability"], listed["role"], strict=True
        )
        if role == "alternative" and number >= 0
    }
    return {**named, _TYPED: "Your own text …", _RESAMPLE: "Resample from here"}


def _parameters(before: Request) -> Request:
    """How the model should continue; the parameters of the earlier answer unless changed."""
    tokens = st.number_input("Max new tokens", 1, 100_000, max(before.max_tokens, 1), key="branch.max_tokens")
    temperature = st.slider("Temperature", 0.0, 2.0, float(min(before.temperature, 2.0)), 0.1, key="branch.temperature")
    top_p = st.slider("Top-p", 0.05, 1.0, float(max(before.top_p, 0.05)), 0.05, key="branch.top_p")
    seed = st.number_input("Seed", 0, 2**31, None, key="branch.seed", placeholder="Random")
    samples = st.number_input("Samples", 1, MAX_SAMPLES, 1, key="branch.n", help="Number of branches from this token.")
    return replace(
        before, max_tokens=int(tokens), temperature=temperature, top_p=top_p,
        seed=None if seed is None else int(seed), n=int(samples),
    )  # fmt: skip


def _start(job: Run, call: Call, done: Completion, branch: _Branch) -> CandorError | None:
    """Start the branch; return why it could not start, or None."""
    try:
        fork, request = _fork(call, done, branch)
        start_branch(_PAGE, job, ExplorePlan(Call(call.source, request, fork)))
    except CandorError as error:
        return error
    return None


def _fork(call: Call, done: Completion, branch: _Branch) -> tuple[Fork, Request]:
    def fork_with(ids: tuple[int, ...], text: str) -> tuple[Fork, Request]:
        return fork_of(done, branch.row, ids, text, branch.parameters, call.original_request)

    if branch.choice >= 0:
        return fork_with((branch.choice,), branch.label.rsplit("   ", 1)[0])
    fork, request = fork_with((), "")
    if branch.choice == _RESAMPLE:
        return fork, request
    if not branch.typed:
        raise InvalidRequest("There is no text to insert.", "Type how the answer should continue.")
    ids, otherwise = encode_continuation(call.source, request, branch.typed)
    fork, request = fork_with(ids, formatting.visible(branch.typed))
    return (replace(fork, warning=CUT_ALONE) if otherwise else fork), request
