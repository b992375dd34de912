"""What to ask the model, and how."""

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

RAW, CHAT, SAVED = "Raw text", "Chat", "Saved response"
IN_ONE_PIECE, AS_WRITTEN = "With prompt scores", "While it is written"


@dataclass(frozen=True)
class Example:
    """A prompt to try, and what there is to see in it."""

    label: str
    mode: str
    prompt: str


EXAMPLES = (
    Example("The quick brown fox", RAW, "The quick brown fox jumps"),
    Example("A sure fact", RAW, "The capital of France is"),
    Example("A made-up fact", RAW, "The Portfolio Synergy Quotient (PSQ) is a measure of"),
    Example("A question", CHAT, "Why is the sky blue? Answer in one sentence."),
    Example("Some code", RAW, "def fibonacci(n):\n    "),
)


def prompt_form(policy: Policy, source: Source) -> Request | SavedResponse | CandorError | None:
    """The request when Generate was pressed, or why it cannot be made; a saved response when one was opened; else None.

    What was typed stays. source: the model in use, whose limits show.
    """
    for key, value in _DEFAULTS.items():
        st.session_state.setdefault(key, value)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mode = st.segmented_control(
            "How the model reads it",
            [RAW, CHAT, SAVED],
            key="explore.mode",
            required=True,
            persist_state="session",
            label_visibility="collapsed",
            help="Raw text is continued as it stands. Chat wraps it in the model's chat template. A saved "
            "response of Bedrock is opened without a model.",
        )
        if mode == SAVED:
            st.caption("Look at a response that you have.", width="content")
            examples: tuple[Example, ...] = ()
        else:
            st.caption("Try", width="content")
            examples = EXAMPLES
        for number, example in enumerate(examples):
            key = f"explore.example.{number}"
            st.button(example.label, key=key, type="tertiary", on_click=_fill, args=(example,))
    if mode == SAVED:
        return saved_form(policy)
    limits = limits_of(source, chat=mode == CHAT)
    with st.form("explore.form", border=False):
        if mode == CHAT:
            st.text_input(
                "System message (optional)",
                key="explore.system",
                persist_state="session",
                placeholder="You are a careful assistant.",
            )
        st.text_area(
            "Prompt",
            key="explore.prompt",
            persist_state="session",
            placeholder="Type something for the model to go on with",
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
    if limits.refusal:
        st.caption(as_text(limits.refusal))
    elif not limits.prompt_scores:
        st.caption("In the format for raw text this model returns no scores of the prompt, only of its answer.")
    return _request(mode, limits) if pressed and not limits.refusal else None


def _way() -> None:
    """Prompt scores come with a whole answer only."""
    st.segmented_control(
        "How the answer comes", [IN_ONE_PIECE, AS_WRITTEN], key="explore.way", required=True, persist_state="session",
        label_visibility="collapsed",
    )  # fmt: skip
    st.caption("Bedrock sends scores of the prompt only with a whole answer.", width="content")


_DEFAULTS = {
    "explore.mode": RAW,
    "explore.max_tokens": 40,
    "explore.k": 10,
    "explore.temperature": 0.0,
    "explore.top_p": 1.0,
    "explore.way": IN_ONE_PIECE,
    "explore.n": 1,
}


def is_about(request: Request) -> bool:
    """Whether the prompt in the form is the one of that request."""
    typed = st.session_state.get("explore.prompt")
    return typed is None or typed == request.last_user_text


def restore(request: Request) -> None:
    """Fill the form with a request that was made before, unless something has been typed already."""
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


def _fill(example: Example) -> None:
    st.session_state["explore.mode"] = example.mode
    st.session_state["explore.prompt"] = example.prompt


def _parameters(limits: Limits) -> None:
    left, right = st.columns(2)
    left.number_input(
        "Tokens to write", 0, 100_000, key="explore.max_tokens", persist_state="session",
        help="The answer ends after this many tokens at most. 0 only scores your text.",
    )  # fmt: skip
    left.number_input(
        "Alternatives per position (k)", 0, MAX_K, key="explore.k", persist_state="session",
        disabled=limits.max_k < MAX_K,
        help="How many of the likeliest tokens to keep at every position, up to 20."
        if limits.max_k == MAX_K
        else "In this format the model returns one token per position and no others.",
    )  # fmt: skip
    right.slider(
        "Temperature", 0.0, 2.0, step=0.1, key="explore.temperature", persist_state="session",
        help="0 always takes the likeliest token. Higher values take chances. Scores are those before temperature.",
    )  # fmt: skip
    right.slider(
        "Top-p", 0.05, 1.0, step=0.05, key="explore.top_p", persist_state="session",
        help="Draw only from the likeliest tokens that together reach this probability.",
    )  # fmt: skip
    right.number_input(
        "Answers", 1, MAX_SAMPLES, key="explore.n", persist_state="session",
        help="Ask the same so many times. At temperature 0 all answers are alike. Each answer of a service is a call.",
    )  # fmt: skip
    left.text_area(
        "Stop at (one per line)", key="explore.stop", persist_state="session", height=68,
        help=r"The answer ends before the first of these. Write \n for a line break.",
    )  # fmt: skip
    right.number_input(
        "Seed", 0, 2**31, None, key="explore.seed", persist_state="session", placeholder="random",
        disabled=not limits.seeded,
        help="The same seed draws the same answer again."
        if limits.seeded
        else "Not sent to Bedrock: there is word of answers that come without logprobs when it is.",
    )  # fmt: skip


def _request(mode: str, limits: Limits) -> Request | CandorError:
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
