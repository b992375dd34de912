"""The form of Explore: the prompt, how the model reads it, and the sampling parameters."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from components.explore.saved_response_form import saved_form
from components.pickers.capabilities import Limits, limits_of
from components.shell.escaping import as_text
from lib.access.policy import Policy
from lib.core.request import MAX_K, MAX_SAMPLES, Message, Request
from lib.core.sources import Source
from lib.errors import CandorError
from lib.studies.saved_response import SavedResponse

RAW, CHAT, SAVED = "Raw", "Chat", "Saved response"
IN_ONE_PIECE, AS_WRITTEN = "With prompt logprobs", "Streaming"


@dataclass(frozen=True)
class Example:
    """A prompt to try."""

    label: str  # on its button
    mode: str  # RAW or CHAT
    prompt: str


EXAMPLES = (
    Example("The quick brown fox", RAW, "The quick brown fox jumps"),
    Example("A known fact", RAW, "The capital of France is"),
    Example("A made-up fact", RAW, "The Portfolio Synergy Quotient (PSQ) is a measure of"),
    Example("A question", CHAT, "Why is the sky blue? Answer in one sentence."),
    Example("Some code", RAW, "def fibonacci(n):\n    "),
)

_DEFAULTS = {
    "explore.mode": RAW,
    "explore.max_tokens": 40,
    "explore.k": 10,
    "explore.temperature": 0.0,
    "explore.top_p": 1.0,
    "explore.way": IN_ONE_PIECE,
    "explore.n": 1,
}


def prompt_form(policy: Policy, source: Source) -> Request | SavedResponse | CandorError | None:
    """Show the form; return the request once Generate is pressed, or why it is invalid, or a saved response.

    source: the selected model, whose limits disable fields.
    """
    for key, value in _DEFAULTS.items():
        st.session_state.setdefault(key, value)
    mode = _mode_and_examples()
    if mode == SAVED:
        return saved_form(policy)
    limits = limits_of(source, chat=mode == CHAT)
    pressed = _form(mode, limits)
    if limits.refusal:
        st.caption(as_text(limits.refusal))
    elif not limits.prompt_scores:
        st.caption("In raw mode this model doesn't return prompt logprobs, only logprobs of its answer.")
    return _request(mode, limits) if pressed and not limits.refusal else None


def _mode_and_examples() -> str:
    """Show the modes and, beside them, the examples to try; return the mode."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mode = st.segmented_control(
            "Mode",
            [RAW, CHAT, SAVED],
            key="explore.mode",
            required=True,
            persist_state="session",
            label_visibility="collapsed",
            help="Raw continues your text as it is. Chat wraps it in the model's chat template. Saved response opens "
            "one from Bedrock, without a model.",
        )
        if mode == SAVED:
            st.caption("Open a response you saved earlier.", width="content")
            return SAVED
        st.caption("Try", width="content")
        for number, example in enumerate(EXAMPLES):
            key = f"explore.example.{number}"
            st.button(example.label, key=key, type="tertiary", on_click=_fill, args=(example,))
    return str(mode)


def _fill(example: Example) -> None:
    st.session_state["explore.mode"] = example.mode
    st.session_state["explore.prompt"] = example.prompt


def _form(mode: str, limits: Limits) -> bool:
    """Show the prompt and its parameters; return whether Generate was pressed."""
    with st.form("explore.form", border=False):
        if mode == CHAT:
            st.text_input(
                "System prompt", key="explore.system", persist_state="session",
                placeholder="Optional, for example: You are a careful assistant.",
            )  # fmt: skip
        st.text_area(
            "Prompt",
            key="explore.prompt",
            persist_state="session",
            placeholder="Ask the model something" if mode == CHAT else "Type a text for the model to continue",
            height=84,
        )
        with st.container(horizontal=True, gap="small"):
            pressed = st.form_submit_button(
                "Generate", type="primary", icon=":material/play_arrow:", disabled=bool(limits.refusal)
            )
            with st.popover("Parameters", icon=":material/tune:"):
                _parameters(limits)
            if limits.prompt_scores and not limits.streamed_prompt_scores:
                _way()
    return pressed


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
        disabled=limits.max_k < MAX_K,
        help="How many of the most likely tokens to return at each position, up to 20."
        if limits.max_k == MAX_K
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
        disabled=not limits.seeded,
        help="The same seed gives the same samples."
        if limits.seeded
        else "Not sent to Bedrock: setting a seed has been reported to suppress logprobs.",
    )  # fmt: skip


def is_about(request: Request) -> bool:
    """Whether the prompt in the form is the prompt of a request."""
    typed = st.session_state.get("explore.prompt")
    return typed is None or typed == request.last_user_text


def restore(request: Request) -> None:
    """Fill the form with an earlier request, unless something has been typed."""
    if "explore.prompt" in st.session_state:
        return
    values = st.session_state
    values["explore.mode"] = RAW if request.prompt is not None else CHAT
    values["explore.prompt"] = request.last_user_text
    if len(request.messages) > 1:
        values["explore.system"] = request.messages[0].content
    values["explore.max_tokens"], values["explore.k"] = request.max_tokens, request.k
    values["explore.temperature"], values["explore.top_p"] = request.temperature, request.top_p
    values["explore.stop"] = "\n".join(stop.replace("\n", r"\n") for stop in request.stop)
    values["explore.seed"], values["explore.n"] = request.seed, request.n
    values["explore.way"] = IN_ONE_PIECE if request.prompt_scores else AS_WRITTEN


def _request(mode: str, limits: Limits) -> Request | CandorError:
    """The request in the form, or why it is invalid."""
    values = st.session_state
    prompt = values.get("explore.prompt") or ""
    system = (values.get("explore.system") or "") if mode == CHAT else ""
    messages = (*([Message("system", system)] if system.strip() else []), Message("user", prompt))
    seed = values.get("explore.seed")
    try:
        if mode == CHAT and not prompt.strip():
            return Request(prompt="")
        return Request(
            prompt=None if mode == CHAT else prompt,
            messages=messages if mode == CHAT else (),
            max_tokens=int(values["explore.max_tokens"]),
            temperature=float(values["explore.temperature"]),
            top_p=float(values["explore.top_p"]),
            stop=tuple(line.replace(r"\n", "\n") for line in (values.get("explore.stop") or "").split("\n") if line),
            seed=None if seed is None else int(seed),
            n=int(values["explore.n"]),
            k=min(int(values["explore.k"]), limits.max_k),
            prompt_scores=limits.streamed_prompt_scores or values["explore.way"] == IN_ONE_PIECE,
        )
    except CandorError as error:
        return error
