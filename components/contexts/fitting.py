"""Passages cut to the model's context, as far as that is known."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.shell.services import services
from lib.core.request import Request
from lib.engines.base import Window, window_of
from lib.errors import ModelUnavailable
from lib.studies.contexts import ContextsPlan
from lib.studies.contexts_window import fitted, remembering

_COUNTED = "contexts.counted"  # tokens of prompts, and what of
_SURELY_FITS = 4_000  # bytes of a prompt; no model is waited for to count so few


def fit(plan: ContextsPlan, *, wait: bool = False) -> ContextsPlan:
    """The plan with its passages cut to the model's context; as it is if the context is not known.

    wait: whether to wait for the model, if a passage may be too long. Raises CandorError, as `fitted` does.
    """
    window = _window(plan, wait=wait)
    if window is None:
        return plan
    try:
        return fitted(plan, remembering(window, _counted(plan)))
    except ModelUnavailable:  # its tokenizer or template can't be used, so that nothing is known
        return plan


def _window(plan: ContextsPlan, *, wait: bool) -> Window | None:
    engine = services().engines.peek(plan.source)
    wait = wait and any(len(plan.prompt_of(each.text).text.encode()) > _SURELY_FITS for each in plan.passages)
    if not wait:
        return None if engine is None else window_of(engine, wait=False)
    services().check_allowed(plan.source)
    with st.spinner("Counting the passages' tokens"):
        try:
            return window_of(services().engines.get(plan.source), wait=True)
        except ModelUnavailable:  # the calls will say why
            return None


def _counted(plan: ContextsPlan) -> dict[Request, int]:
    """The tokens of prompts that were counted for this model, question and template, so that a rerun counts none."""
    about = (plan.source, plan.question, plan.template, plan.mode, plan.system)
    kept: tuple[Any, dict[Request, int]] | None = st.session_state.get(_COUNTED)
    if kept is None or kept[0] != about:
        kept = st.session_state[_COUNTED] = (about, {})
    return kept[1]
