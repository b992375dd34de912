"""The History page: find saved runs, and open, edit, compare, export or remove them."""

from __future__ import annotations

import streamlit as st

from components.history.actions import run_actions
from components.history.files import export_and_import
from components.history.filters import run_filter
from components.history.removal import outcome_of_last_action
from components.history.storage import storage
from components.history.table import page_starts, paging, run_table
from components.shell.messages import show_error
from components.shell.services import services
from lib.errors import CandorError
from lib.store.queries import listed
from lib.store.runs import Runs

_ROWS = 25  # runs in the table at a time


def history() -> None:
    """Show the whole page, or why there is no history."""
    store = services().store.runs()
    if store is None:
        _why_not()
        return
    try:
        _history_of(store)
    except CandorError as error:
        show_error(error)


def _why_not() -> None:
    if (why := services().store.failure) is not None:
        show_error(why)
    else:
        st.info(
            "Runs are not saved here, because CANDOR_STORE is off. Restart Candor without it to keep a history.",
            icon=":material/database_off:",
        )


def _history_of(store: Runs) -> None:
    with st.container():  # keeps everything below in place when a message appears
        outcome_of_last_action()
    which, sort = run_filter(store)
    found = listed(store.database, which, sort=sort, start=page_starts(which, sort)[-1], count=_ROWS)
    chosen = run_table(found, which)
    paging(found)
    if chosen:
        run_actions(store, chosen)
    export_and_import(store, which)
    storage(store)
