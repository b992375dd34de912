"""What to compare with: another model, or other prompts for the same rows."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from components.pickers.capabilities import limits_of
from components.pickers.model import listed_models
from components.pickers.model_label import model_name
from components.shell.access import policy
from components.shell.escaping import as_text
from lib.core.request import Mode
from lib.core.sources import NO_MODEL, Source
from lib.segmentation.char_classes import marked
from lib.studies.evaluation import EvaluatePlan, Variant

MOST_PROMPTS = 4
_HELD = "evaluate.held"  # a model to compare with that need not be among the listed ones
_TAKEN = "evaluate.held.taken"  # whether it becomes the base once the sidebar has another model


def base_model(source: Source) -> Source | None:
    """Show which model to compare the sidebar's with; None for none."""
    held, key = st.session_state.get(_HELD), "evaluate.base"
    listed = dict.fromkeys([*listed_models(policy()).values(), *([held] if held else [])])
    choices = [each for each in listed if each != source]
    if held in choices and st.session_state.pop(_TAKEN, False):
        st.session_state[key] = held
    if st.session_state.get(key) not in (None, *choices):
        del st.session_state[key]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        base: Source | None = st.selectbox(
            "Base model", [None, *choices], key=key, persist_state="session", width=360,
            format_func=lambda each: "None" if each is None else marked(model_name(each)),
            help="Gets the same questions. The report then shows what the sidebar's model gained and lost against it.",
        )  # fmt: skip
        st.button(
            "Use the sidebar's model", icon=":material/arrow_back:", type="tertiary", key="evaluate.hold",
            disabled=source == NO_MODEL, on_click=_hold, args=(source,),
            help="Makes it the base. Then choose the other model in the sidebar.",
        )  # fmt: skip
    if st.session_state.get(_TAKEN):
        st.caption("Now choose the other model in the sidebar.")
    return base


def other_prompts() -> tuple[str, ...]:
    """Show fields for further prompts, one more than are filled in; return those that are."""
    found: list[str] = []
    for number in range(2, MOST_PROMPTS + 1):
        text = st.text_area(
            f"Prompt {number}", key=f"evaluate.template.{number}", persist_state="session", height=110,
            placeholder="Another prompt for the same rows, with {column}",
        )  # fmt: skip
        if not (text or "").strip():
            break
        found.append(str(text))
    return tuple(found)


def with_base(plan: EvaluatePlan, base: Source | None) -> EvaluatePlan:
    """The plan that asks the base model first, then the one in the sidebar, which other prompts are compared on."""
    if base is None:
        return plan
    limits = limits_of(base, chat=plan.mode is Mode.CHAT)
    other = Variant(plan.source, mode=plan.mode, k=plan.k, prompt_scores=plan.prompt_scores)
    return replace(
        plan,
        source=base,
        k=min(EvaluatePlan.k, limits.can.max_k),
        prompt_scores=limits.can.prompt_scores,
        others=(other, *plan.others),
    )


def refusal_of(base: Source | None, mode: Mode) -> str:
    """Why the base model cannot answer; "" if it can."""
    if base is None:
        return ""
    refusal = limits_of(base, chat=mode is Mode.CHAT).refusal
    return refusal and f"{as_text(model_name(base))}: {refusal}"


def _hold(source: Source) -> None:
    st.session_state[_HELD], st.session_state[_TAKEN] = source, True
