"""Narrow the table of answers to those behind a point of a chart, a bin or a slice."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import streamlit as st

_ONLY = "evaluate.only"
_OWNER = "evaluate.only.owner"


def narrows(owner: Hashable) -> None:
    """Say whose answers the page shows: a choice among the answers of another run, model or prompt is dropped."""
    if st.session_state.get(_OWNER) != owner:
        show_all()
        st.session_state[_OWNER] = owner


def show_only(places: Iterable[int], name: str) -> None:
    """Show only the answers at these places. name: what they have in common."""
    st.session_state[_ONLY] = (frozenset(int(place) for place in places), name)


def only() -> tuple[frozenset[int], str] | None:
    """The places of the answers to show, and what they have in common; None for all."""
    found: tuple[frozenset[int], str] | None = st.session_state.get(_ONLY)
    return found


def show_all() -> None:
    """Show all answers again."""
    st.session_state.pop(_ONLY, None)


def selects_rows(rows: Sequence[dict[str, Any]], key: str, chosen: Callable[[int], None]) -> None:
    """Show a table; `chosen` is called with the place of a row when it is selected."""

    def select() -> None:
        places = st.session_state[key].selection.rows
        if places:
            chosen(places[0])
        else:
            show_all()

    st.dataframe(rows, hide_index=True, key=key, on_select=select, selection_mode="single-row")
