"""What the forms of all asking pages share: modes and examples, the button that asks, and its price."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from components.jobs.estimate import budget
from components.shell.escaping import as_text
from lib import formatting
from lib.core.request import Mode
from lib.errors import CandorError
from lib.jobs.plan import Plan, priced_calls

Values = Mapping[str, Any]  # of widgets, by the name of their field

_KEYS = "Mod+Enter"  # the keys that ask, on every page: Ctrl+Enter, on a Mac Cmd+Enter


def set_defaults(page: str, values: Values) -> None:
    """Give the page's widgets their first values."""
    for name, value in values.items():
        st.session_state.setdefault(f"{page}.{name}", value)


def fill(page: str, values: Values) -> None:
    """Put values into the page's widgets."""
    st.session_state.update({f"{page}.{name}": value for name, value in values.items()})


def untouched(page: str, field: str) -> bool:
    """Whether nothing has been typed on the page so far. field: its first text field."""
    return f"{page}.{field}" not in st.session_state


def mode_and_examples(
    page: str, examples: Mapping[str, Values], modes: Sequence[str] = (Mode.CHAT, Mode.RAW), about: str | None = None
) -> str:
    """Show the modes and, beside them, examples to try; return the mode."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mode = st.segmented_control(
            "Mode", modes, key=f"{page}.mode", required=True, persist_state="session", format_func=formatting.capital,
            label_visibility="collapsed", help=about,
        )  # fmt: skip
        if examples and mode in (Mode.CHAT, Mode.RAW):
            show_examples(page, examples)
    return str(mode)


def show_examples(page: str, examples: Mapping[str, Values]) -> None:
    """Show a button for each example, which fills the form."""
    st.caption("Try", width="content")
    for number, (label, values) in enumerate(examples.items()):
        st.button(label, key=f"{page}.example.{number}", type="tertiary", on_click=fill, args=(page, values))


@dataclass(frozen=True)
class AskButton:
    """The button of a form that asks, with what it takes beside it."""

    page: str
    label: str
    icon: str

    def pressed(
        self,
        price: str,
        *,
        refusal: str = "",
        disabled: bool = False,
        more: Callable[[], None] = lambda: None,
    ) -> bool:
        """Show it; return whether it was pressed.

        refusal: why the model cannot answer at all. disabled: for reasons that the page shows itself.
        more: shows what stands beside the button.
        """
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            pressed = st.button(
                self.label,
                type="primary",
                icon=self.icon,
                key=f"{self.page}.go",
                disabled=disabled or bool(refusal),
                shortcut=_KEYS,
                help="Ctrl+Enter, or Cmd+Enter on a Mac.",
            )
            more()
            st.caption(as_text(refusal) or price, width="content")
        return pressed and not refusal


def price_of(plan: Plan | CandorError) -> str:
    """What all calls of the filled-in form take; "" if it is invalid."""
    return "" if isinstance(plan, CandorError) else budget(priced_calls(plan))


def lines(text: str) -> tuple[str, ...]:
    r"""The texts in a field that has one per line, in which \n is a line break. Empty lines are left out."""
    return tuple(line.replace(r"\n", "\n") for line in text.split("\n") if line)


def as_field(texts: Sequence[str]) -> str:
    """The texts as `lines` reads them."""
    return "\n".join(text.replace("\n", r"\n") for text in texts)
