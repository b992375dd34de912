"""Two to four prompts for the same model, and how it should answer them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.jobs.asking_page import Asked, planned
from components.jobs.form import AskButton, fill, mode_and_examples, price_of, set_defaults, untouched
from components.pickers.capabilities import Limits, limits_of
from lib.core.request import Mode, mode_of
from lib.core.sources import Source
from lib.jobs.plan import Plan
from lib.studies.ablation import AblationPlan
from lib.studies.prompt_comparison import MAX_PROMPTS, PromptsPlan

_PAGE = "prompts"
_BUTTON = AskButton(_PAGE, "Compare", ":material/compare:")
MAX_SAMPLES = 16
_SHORT = "A customer writes that the laptop they ordered three weeks ago has still not arrived. Write a response."
_DETAILED = (
    "You are an experienced customer service agent of an online electronics shop.\n"
    "A customer writes that the laptop they ordered three weeks ago has still not arrived. "
    "They are upset, and need it for work.\n"
    "Write a response that apologises, says what happens next, and lets them choose between waiting and a refund. "
    "Keep it polite and under 80 words."
)
_EXAMPLES = {
    "A late laptop, in brief and in detail": {
        "mode": Mode.CHAT, "count": 2, "prompt.0": _SHORT, "prompt.1": _DETAILED,
    }
}  # fmt: skip


def compare_form(before: Plan | None, source: Source) -> Asked:
    """Show the form; return the plan once Compare is pressed, or why it is invalid."""
    if untouched(_PAGE, "prompt.0"):
        fill(_PAGE, _values_of(before))
    set_defaults(_PAGE, _values(PromptsPlan(source)))
    mode = Mode(mode_and_examples(_PAGE, _EXAMPLES))
    limits = limits_of(source, chat=mode is Mode.CHAT)
    _prompts(int(st.session_state["prompts.count"]))
    _sampling()
    plan = planned(lambda: _plan(source, mode, limits))
    pressed = _BUTTON.pressed(price_of(plan), refusal=limits.refusal)
    if not limits.can.prompt_scores and not limits.refusal:
        st.caption(
            "This model doesn't return prompt logprobs, so prompt perplexity and “What helped?” are unavailable. You "
            "still see how confidently each answer begins."
        )
    return plan if pressed else None


def _values_of(plan: Plan | None) -> dict[str, Any]:
    """The plan of the page's job as values of the form's fields."""
    if isinstance(plan, PromptsPlan):
        return _values(plan)
    if isinstance(plan, AblationPlan):  # it generated nothing, so that its sampling is no one's choice
        return _texts([each.last_user_text for each in plan.requests]) | {"mode": mode_of(plan.requests[0])}
    return {}


def _values(plan: PromptsPlan) -> dict[str, Any]:
    return _texts(plan.prompts) | {
        "mode": plan.mode,
        "max_tokens": plan.max_tokens,
        "temperature": plan.temperature,
        "samples": max(plan.samples, 2),
    }


def _texts(prompts: tuple[str, ...] | list[str]) -> dict[str, Any]:
    texts = {f"prompt.{number}": prompt for number, prompt in enumerate(prompts[:MAX_PROMPTS])}
    return {"count": max(len(texts), 2), **texts}


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
            "Samples per prompt", 2, MAX_SAMPLES, key="prompts.samples", persist_state="session", width=170,
            disabled=temperature == 0,
            help="At temperature 0 all samples are identical, so one is enough. On Bedrock each sample is one billed "
            "call.",
        )  # fmt: skip


def _plan(source: Source, mode: Mode, limits: Limits) -> PromptsPlan:
    """What the fields ask for."""
    values = st.session_state
    typed = [values.get(f"prompts.prompt.{number}") or "" for number in range(int(values["prompts.count"]))]
    return PromptsPlan(
        source,
        tuple(prompt for prompt in typed if prompt.strip()),
        mode,
        int(values["prompts.max_tokens"]),
        float(values["prompts.temperature"]),
        int(values["prompts.samples"]),
        min(PromptsPlan.k, limits.can.max_k),
        limits.can.prompt_scores,
    )
