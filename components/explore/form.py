"""The form of Explore: the prompt, how the model reads it, and the sampling parameters."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.jobs.asking_page import Asked, planned
from components.jobs.form import AskButton, as_field, fill, lines, mode_and_examples, price_of, set_defaults, untouched
from components.pickers.capabilities import Limits, limits_of
from components.pickers.saved_response import saved_form
from components.shell.access import policy
from lib.core.request import MAX_K, MAX_SAMPLES, Mode, Request, mode_of, prompt_fields
from lib.core.sources import Source
from lib.jobs.call import Call
from lib.jobs.plan import Plan
from lib.studies.exploration import ExplorePlan

_PAGE = "explore"
_BUTTON = AskButton(_PAGE, "Generate", ":material/play_arrow:")
SAVED = "saved response"  # a mode of its own: no model is asked
IN_ONE_PIECE, AS_WRITTEN = "With prompt logprobs", "Streaming"
EXAMPLES = {
    "The quick brown fox": {"mode": Mode.RAW, "prompt": "The quick brown fox jumps"},
    "A known fact": {"mode": Mode.RAW, "prompt": "The capital of France is"},
    "A made-up fact": {"mode": Mode.RAW, "prompt": "The Portfolio Synergy Quotient (PSQ) is a measure of"},
    "A question": {"mode": Mode.CHAT, "prompt": "Why is the sky blue? Answer in one sentence."},
    "Some code": {"mode": Mode.RAW, "prompt": "def fibonacci(n):\n    "},
}
_DEFAULTS = {
    "mode": Mode.RAW,
    "max_tokens": 40,
    "k": 10,
    "temperature": 0.0,
    "top_p": 1.0,
    "way": IN_ONE_PIECE,
    "n": 1,
}
_MODES = (
    "Raw continues your text as it is. Chat wraps it in the model's chat template. Saved response opens one from "
    "Bedrock, without a model."
)


def prompt_form(before: Plan | None, source: Source) -> Asked:
    """Show the form; return the plan once Generate is pressed, or why it is invalid, or a saved response.

    source: the selected model, whose limits disable fields.
    """
    if isinstance(before, ExplorePlan) and untouched(_PAGE, "prompt"):
        fill(_PAGE, _values(before.call.original_request))
    set_defaults(_PAGE, _DEFAULTS)
    chosen = mode_and_examples(_PAGE, EXAMPLES, (Mode.RAW, Mode.CHAT, SAVED), about=_MODES)
    if chosen == SAVED:
        st.caption("Open a response you saved earlier.")
        return saved_form(policy())
    mode = Mode(chosen)
    limits = limits_of(source, chat=mode is Mode.CHAT)
    _prompt(mode)
    plan = planned(lambda: ExplorePlan(Call(source, _request(mode, limits))))
    pressed = _BUTTON.pressed(price_of(plan), refusal=limits.refusal, more=lambda: _more(limits))
    if not limits.refusal and not limits.can.prompt_scores:
        st.caption("In raw mode this model doesn't return prompt logprobs, only logprobs of its answer.")
    if isinstance(before, ExplorePlan) and not pressed and not _is_about(before.call.original_request):
        st.caption("Still showing the answer to your previous prompt.")
    return plan if pressed else None


def _prompt(mode: Mode) -> None:
    if mode is Mode.CHAT:
        st.text_input(
            "System prompt", key="explore.system", persist_state="session",
            placeholder="Optional, for example: You are a careful assistant.",
        )  # fmt: skip
    st.text_area(
        "Prompt",
        key="explore.prompt",
        persist_state="session",
        placeholder="Ask the model something" if mode is Mode.CHAT else "Type a text for the model to continue",
        height=84,
    )


def _more(limits: Limits) -> None:
    with st.popover("Parameters", icon=":material/tune:"):
        _parameters(limits)
    if limits.can.prompt_scores and not limits.can.streamed_prompt_scores:
        _way()


def _way() -> None:
    """Choose between prompt logprobs and streaming, if the model can't do both at once."""
    st.segmented_control(
        "Response", [IN_ONE_PIECE, AS_WRITTEN], key="explore.way", required=True, persist_state="session",
        label_visibility="collapsed",
    )  # fmt: skip
    st.caption("Bedrock returns prompt logprobs only with a complete answer.", width="content")


def _parameters(limits: Limits) -> None:
    left, right = st.columns(2)
    with left:
        _length_and_logprobs(limits)
    with right:
        _sampling(limits)


def _length_and_logprobs(limits: Limits) -> None:
    st.number_input(
        "Max new tokens", 0, 100_000, key="explore.max_tokens", persist_state="session",
        help="The answer stops after this many tokens. 0 only scores your prompt.",
    )  # fmt: skip
    st.number_input(
        "Top logprobs (k)", 0, MAX_K, key="explore.k", persist_state="session",
        disabled=limits.can.max_k < MAX_K,
        help="How many of the most likely tokens to return at each position, up to 20."
        if limits.can.max_k == MAX_K
        else "In this format the model returns one token per position, without alternatives.",
    )  # fmt: skip
    st.text_area(
        "Stop sequences", key="explore.stop", persist_state="session", height=68,
        help=r"One per line. The answer ends before the first of them. Write \n for a line break.",
    )  # fmt: skip


def _sampling(limits: Limits) -> None:
    st.slider(
        "Temperature", 0.0, 2.0, step=0.1, key="explore.temperature", persist_state="session",
        help="0 always picks the most likely token. Higher values take more risks. Logprobs are those before "
        "temperature.",
    )  # fmt: skip
    st.slider(
        "Top-p", 0.05, 1.0, step=0.05, key="explore.top_p", persist_state="session",
        help="Sample only from the most likely tokens that together reach this probability.",
    )  # fmt: skip
    st.number_input(
        "Samples", 1, MAX_SAMPLES, key="explore.n", persist_state="session",
        help="Number of samples. At temperature 0 they are identical. On Bedrock, each sample is one billed call.",
    )  # fmt: skip
    st.number_input(
        "Seed", 0, 2**31, None, key="explore.seed", persist_state="session", placeholder="Random",
        disabled=not limits.can.seeded,
        help="The same seed gives the same samples."
        if limits.can.seeded
        else "Not sent to Bedrock: setting a seed has been reported to suppress logprobs.",
    )  # fmt: skip


def _is_about(request: Request) -> bool:
    """Whether the prompt in the form is the prompt of a request."""
    typed = st.session_state.get("explore.prompt")
    return typed is None or typed == request.last_user_text


def _values(request: Request) -> dict[str, Any]:
    """A request as values of the form's fields."""
    return {
        "mode": mode_of(request),
        "prompt": request.last_user_text,
        "system": request.messages[0].content if len(request.messages) > 1 else "",
        "max_tokens": request.max_tokens,
        "k": request.k,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": as_field(request.stop),
        "seed": request.seed,
        "n": request.n,
        "way": IN_ONE_PIECE if request.prompt_scores else AS_WRITTEN,
    }


def _request(mode: Mode, limits: Limits) -> Request:
    """The request in the form. Raises InvalidRequest."""
    values = st.session_state
    prompt, seed = values.get("explore.prompt") or "", values.get("explore.seed")
    if not prompt.strip():
        return Request(prompt="")  # which says that it is empty
    return Request(
        **prompt_fields(mode, prompt, values.get("explore.system") or ""),
        max_tokens=int(values["explore.max_tokens"]),
        temperature=float(values["explore.temperature"]),
        top_p=float(values["explore.top_p"]),
        stop=lines(values.get("explore.stop") or ""),
        seed=None if seed is None else int(seed),
        n=int(values["explore.n"]),
        k=min(int(values["explore.k"]), limits.can.max_k),
        prompt_scores=limits.can.streamed_prompt_scores or values["explore.way"] == IN_ONE_PIECE,
    )
