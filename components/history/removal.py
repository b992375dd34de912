"""Remove runs from history, undo that, and report how the last action on the page went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from components.history.table import clear_selection
from components.shell.access import visitor
from components.shell.escaping import as_text
from components.shell.messages import show_error
from lib import formatting
from lib.errors import CandorError
from lib.store.queries import Filter, put_back_all, remove_all
from lib.store.runs import Runs

_REMOVED, _OUTCOME = "history.removed", "history.said"


@dataclass(frozen=True)
class _Removed:
    """The last removal."""

    count: int  # runs removed
    put_back: Callable[[], None]  # undoes it


def report(outcome: str | CandorError) -> None:
    """Show this at the top of the page the next time it is drawn."""
    st.session_state[_OUTCOME] = outcome


def outcome_of_last_action() -> None:
    """Show how the last action went, and Undo after a removal."""
    outcome = st.session_state.pop(_OUTCOME, None)
    if isinstance(outcome, CandorError):
        show_error(outcome)
    elif outcome:
        st.success(as_text(outcome), icon=":material/check:")
    removed: _Removed | None = st.session_state.get(_REMOVED)
    if removed is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(
                f"{formatting.count(removed.count, 'run')} removed from history, to be erased later.", width="content"
            )
            st.button("Undo", icon=":material/undo:", type="tertiary", on_click=_undo)


def remove(store: Runs, ids: list[str]) -> None:
    """Remove the visitor's runs with these ids."""
    try:
        store.remove(ids, by=visitor())
    except CandorError as error:
        report(error)
    else:
        _done(_Removed(len(ids), lambda: store.put_back(ids, by=visitor())))


def remove_matching(store: Runs, which: Filter, count: int) -> None:
    """Remove all of the visitor's runs that match. count: how many that is."""
    try:
        when = remove_all(store.database, which, by=visitor())
    except CandorError as error:
        report(error)
    else:
        _done(_Removed(count, lambda: put_back_all(store.database, when, by=visitor())))


def _done(removed: _Removed) -> None:
    st.session_state[_REMOVED] = removed
    clear_selection()


def _undo() -> None:
    try:
        st.session_state[_REMOVED].put_back()
    except CandorError as error:
        report(error)
    else:
        st.session_state.pop(_REMOVED, None)
        clear_selection()
