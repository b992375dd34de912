"""The template, the lengths and the stop sequences of the Contexts form."""

from __future__ import annotations

import streamlit as st

from lib import formatting
from lib.contexts.prompting import TEMPLATES, Order
from lib.core.request import Mode
from lib.studies.contexts import MOST_DRAFT_TOKENS

_ORDER, _TEMPLATE = "contexts.order", "contexts.template"


def parameters(mode: Mode) -> None:
    """Show the popover with the parameters."""
    with st.popover("Prompt and lengths", icon=":material/tune:"):
        _template()
        if mode is Mode.CHAT:
            st.text_input(
                "System prompt", key="contexts.system", persist_state="session",
                placeholder="Optional, for example: Answer in one sentence.",
            )  # fmt: skip
        left, right = st.columns(2)
        left.number_input("Draft tokens", 1, MOST_DRAFT_TOKENS, key="contexts.draft_tokens", persist_state="session")
        right.number_input(
            "Max new tokens", 1, 10_000, key="contexts.max_tokens", persist_state="session",
            help="Of a full answer, not of a draft.",
        )  # fmt: skip
        st.text_area(
            "Stop sequences", key="contexts.stop", persist_state="session", height=68,
            help=r"One per line. An answer ends before the first of them. Write \n for a line break.",
        )  # fmt: skip


def _template() -> None:
    """Show the two templates to choose from, and the one in use, which can be edited."""
    written = st.session_state.get(_TEMPLATE)
    st.session_state[_ORDER] = next((order for order, text in TEMPLATES.items() if text == written), None)
    st.segmented_control(
        "Template", list(Order), key=_ORDER, format_func=formatting.capital, on_change=_take,
        help="With the passage first, one call returns the draft and the question's logprobs. With the question "
        "first, question likelihood takes a call of its own.",
    )  # fmt: skip
    st.text_area(
        "Prompt template", key=_TEMPLATE, persist_state="session", height=140,
        help="{passage} and {question} once each. Edit it as you like.",
    )  # fmt: skip


def _take() -> None:
    if (order := st.session_state.get(_ORDER)) is not None:
        st.session_state[_TEMPLATE] = TEMPLATES[Order(order)]
