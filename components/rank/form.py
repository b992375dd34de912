"""What to rank: samples of the model, candidates of the visitor's own, or both."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.jobs.asking_page import Asked, planned
from components.jobs.form import AskButton, as_field, fill, lines, mode_and_examples, price_of, set_defaults, untouched
from components.pickers.capabilities import Limits, limits_of
from lib.core.request import MAX_SAMPLES, Mode
from lib.core.sources import Source
from lib.errors import InvalidRequest
from lib.jobs.plan import Plan
from lib.studies.ranking import RankPlan

_PAGE = "rank"
_BUTTON = AskButton(_PAGE, "Rank", ":material/sort:")
_EXAMPLES: dict[str, dict[str, Any]] = {
    "Two translations of a proverb": {
        "mode": Mode.CHAT,
        "prompt": "Translate into English: Battre le fer pendant qu'il est chaud",
        "candidates": "Strike while the iron is hot.\nBeat the iron while it is hot.",
        "samples": 0,
    },
    "A capital, sampled eight times": {
        "mode": Mode.CHAT,
        "prompt": "What is the capital of Australia? Answer in one word.",
        "candidates": "Canberra.\nSydney.",
        "samples": 8,
        "max_tokens": 12,
    },
}


def rank_form(before: Plan | None, source: Source) -> Asked:
    """Show the form; return the plan once Rank is pressed, or why it is invalid."""
    if isinstance(before, RankPlan) and untouched(_PAGE, "prompt"):
        fill(_PAGE, _values(before))
    set_defaults(_PAGE, _values(RankPlan(source)))
    mode = Mode(mode_and_examples(_PAGE, _EXAMPLES))
    limits = limits_of(source, chat=mode is Mode.CHAT)
    _fields()
    plan = planned(lambda: _plan(source, mode, limits))
    pressed = _BUTTON.pressed(price_of(plan), refusal=limits.refusal)
    if not limits.can.scores_candidates and not limits.refusal:
        st.caption(
            "This model doesn't return prompt logprobs, so it can't score your own candidates. It can still rank its "
            "samples."
        )
    return plan if pressed else None


def _values(plan: RankPlan) -> dict[str, Any]:
    """The plan as values of the form's fields."""
    return {
        "mode": plan.mode,
        "prompt": plan.prompt,
        "candidates": as_field(plan.candidates),
        "samples": plan.samples,
        "max_tokens": plan.max_tokens,
        "temperature": plan.temperature,
    }


def _fields() -> None:
    st.text_area(
        "Prompt", key="rank.prompt", persist_state="session", height=84, placeholder="The question to answer",
    )  # fmt: skip
    left, right = st.columns([1.6, 1], gap="medium")
    left.text_area(
        "Candidates, one per line", key="rank.candidates", persist_state="session", height=150,
        placeholder="Optional: answers of your own",
        help=r"Each is scored as if the model had generated it. Type \n for a line break within a candidate.",
    )  # fmt: skip
    with right:
        st.number_input(
            "Samples", 0, MAX_SAMPLES, key="rank.samples", persist_state="session",
            help="Answers the model samples itself. 0 ranks only your candidates. On Bedrock, each sample is one "
            "billed call.",
        )  # fmt: skip
        first, second = st.columns(2)
        first.number_input("Max new tokens", 1, 10_000, key="rank.max_tokens", persist_state="session")
        second.slider("Temperature", 0.0, 2.0, step=0.1, key="rank.temperature", persist_state="session")


def _plan(source: Source, mode: Mode, limits: Limits) -> RankPlan:
    """What the fields ask for. Raises InvalidRequest for candidates that the model can't score."""
    values = st.session_state
    candidates = tuple(line for line in lines(values.get("rank.candidates") or "") if line.strip())
    samples = int(values["rank.samples"])
    if candidates and not samples and not limits.can.scores_candidates:
        raise InvalidRequest(
            "This model doesn't return prompt logprobs, so it can't score your candidates.",
            "Set Samples to 1 or more, or choose a model that returns prompt logprobs.",
        )
    return RankPlan(
        source,
        values.get("rank.prompt") or "",
        candidates if limits.can.scores_candidates else (),
        mode,
        samples,
        int(values["rank.max_tokens"]),
        float(values["rank.temperature"]),
        min(RankPlan.k, limits.can.max_k),
        limits.can.prompt_scores,
    )
