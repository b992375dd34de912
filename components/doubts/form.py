"""What to read for doubts: the answer to a new prompt, or a saved response."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.jobs.asking_page import Asked, planned
from components.jobs.form import AskButton, as_field, fill, lines, mode_and_examples, price_of, set_defaults, untouched
from components.pickers.capabilities import Limits, limits_of
from components.pickers.saved_response import saved_form
from components.shell.access import policy
from lib.core.request import Mode, mode_of
from lib.core.sources import Source
from lib.jobs.plan import Plan
from lib.studies.doubts import DoubtsPlan
from lib.studies.exploration import ExplorePlan

_PAGE = "doubts"
SENT = "doubts.sent"  # a follow-up that was sent, which the form then shows
_SAVED = "saved response"  # a mode of its own: no model is asked
_BUTTON = AskButton(_PAGE, "Find doubts", ":material/flag:")
_SHEETS = (
    "France is a country in Europe. Its capital is Paris, its currency is the euro, and its people speak French.\n"
    "Japan is a country in Asia. Its capital is Tokyo, its currency is the yen, and its people speak Japanese.\n"
    "Bolivia is a country in"
)
_ORDER = (
    "Order: three red lamps and a desk, to Ann Lee, 12 May.\n"
    'JSON: {"customer": "Ann Lee", "items": [{"what": "lamp", "colour": "red", "count": 3}, '
    '{"what": "desk", "colour": null, "count": 1}], "due": "12 May", "urgent": false}\n'
    "Order: we need two blue chairs by Friday, and it is urgent. Tom Reyes\n"
    "JSON:"
)
EXAMPLES: dict[str, dict[str, Any]] = {
    "A made-up metric": {
        "mode": Mode.CHAT,
        "prompt": "Explain how the Portfolio Synergy Quotient (PSQ) is applied in multi-asset investment strategies?",
        "max_tokens": 80,
    },
    "A fact sheet": {"mode": Mode.RAW, "prompt": _SHEETS, "max_tokens": 40, "stop": r"\n"},
    "An order as JSON": {"mode": Mode.RAW, "prompt": _ORDER, "max_tokens": 100, "stop": r"\n"},
}

_DEFAULTS = {"mode": Mode.CHAT, "prompt": "", "system": "", "stop": "", "max_tokens": 120, "temperature": 0.0}


def doubts_form(before: Plan | None, source: Source) -> Asked:
    """Show the form; return the plan once Find doubts is pressed, or why it is invalid, or a saved response."""
    if before is not None and untouched(_PAGE, "prompt"):
        fill(_PAGE, _values(before))
    if (sent := st.session_state.pop(SENT, None)) is not None:
        fill(_PAGE, {"mode": Mode.CHAT, "prompt": sent})
    set_defaults(_PAGE, _DEFAULTS)
    chosen = mode_and_examples(_PAGE, EXAMPLES, (Mode.CHAT, Mode.RAW, _SAVED))
    if chosen == _SAVED:
        st.caption("Open a response you saved earlier.")
        return saved_form(policy())
    mode = Mode(chosen)
    limits = limits_of(source, chat=mode is Mode.CHAT)
    st.text_area(
        "Prompt", key="doubts.prompt", persist_state="session", height=84,
        placeholder="A question whose answer you want to check",
    )  # fmt: skip
    plan = planned(lambda: _plan(source, mode, limits))
    pressed = _BUTTON.pressed(price_of(plan), refusal=limits.refusal, more=lambda: _parameters(mode))
    if not limits.refusal and limits.can.max_k < 2:
        st.caption("In this format the model returns one token per position, so there are no alternatives to show.")
    return plan if pressed else None


def _parameters(mode: Mode) -> None:
    with st.popover("Parameters", icon=":material/tune:"):
        if mode is Mode.CHAT:
            st.text_input("System prompt", key="doubts.system", persist_state="session", placeholder="Optional")
        else:
            st.text_area(
                "Stop sequences", key="doubts.stop", persist_state="session", height=68,
                help=r"One per line. The answer ends before the first of them. Write \n for a line break.",
            )  # fmt: skip
        st.number_input("Max new tokens", 1, 100_000, key="doubts.max_tokens", persist_state="session")
        st.slider("Temperature", 0.0, 2.0, step=0.1, key="doubts.temperature", persist_state="session")


def _values(plan: Plan) -> dict[str, Any]:
    """A plan's request as values of the form's fields; nothing for a plan that has not one prompt."""
    if isinstance(plan, DoubtsPlan | ExplorePlan):
        request = plan.calls()[0].original_request
        system = request.messages[0].content if len(request.messages) > 1 else ""
        return {
            "mode": mode_of(request),
            "prompt": request.last_user_text,
            "system": system,
            "stop": as_field(request.stop),
            "max_tokens": max(request.max_tokens, 1),  # 0 on Explore scores the prompt alone
            "temperature": request.temperature,
        }
    return {}


def _plan(source: Source, mode: Mode, limits: Limits) -> DoubtsPlan:
    values = st.session_state
    return DoubtsPlan(
        source,
        values.get("doubts.prompt") or "",
        values.get("doubts.system") or "",
        mode,
        int(values["doubts.max_tokens"]),
        float(values["doubts.temperature"]),
        lines(values.get("doubts.stop") or "") if mode is Mode.RAW else (),
        min(DoubtsPlan.k, limits.can.max_k),
        limits.can.streamed_prompt_scores,
    )
