"""How much is saved, and a way to remove old runs."""

from __future__ import annotations

from datetime import date, timedelta

import streamlit as st

from components.history.filters import start_of, whose
from components.history.removal import remove_matching
from lib import formatting
from lib.store.queries import Filter, counted, sizes
from lib.store.runs import Runs

_OLD = timedelta(days=365)


def storage(store: Runs) -> None:
    """Show the size of the history, and an expander to remove old runs."""
    found = sizes(store.database, whose())
    st.caption(
        f"{formatting.count(found.runs, 'run')} saved with {formatting.count(found.tokens, 'token')}. Answers take "
        f"{formatting.size(found.answers)}, searchable text {formatting.size(found.texts)}, plus its index."
    )
    old = st.expander("Remove old runs", icon=":material/auto_delete:", on_change="rerun", key="history.old")
    if old.open:
        with old:
            _remove_old(store)


def _remove_old(store: Runs) -> None:
    before = st.date_input("Older than", date.today() - _OLD, key="history.before")
    which = Filter(owner=whose(), until=start_of(before))
    count = counted(store.database, which) if before is not None else 0
    st.button(
        f"Remove {formatting.count(count, 'run')} from history", disabled=not count, icon=":material/delete:",
        on_click=remove_matching, args=(store, which, count),
    )  # fmt: skip
