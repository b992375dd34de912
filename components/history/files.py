"""Export all matching runs to a file, and import runs from one."""

from __future__ import annotations

import streamlit as st

from components.history.removal import report
from components.shell.access import visitor
from lib import formatting
from lib.access.visitor import MOST_IMPORTED
from lib.errors import CandorError
from lib.store.archive import export_runs, exported_size, import_runs
from lib.store.archive_format import MOST_BYTES
from lib.store.queries import Filter, listed
from lib.store.runs import Runs

_AT_ONCE = 500  # runs listed per query


def export_and_import(store: Runs, which: Filter) -> None:
    """Show an expander with both."""
    files = st.expander("Import and export", icon=":material/folder:", on_change="rerun", key="history.files")
    if files.open:
        with files:
            _import(store)
            _export(store, which)


def _import(store: Runs) -> None:
    most = (MOST_BYTES if visitor().alone else MOST_IMPORTED) // 1_000_000
    uploaded = st.file_uploader(
        f"Import runs from a Candor export, up to {most:,} MB", type=["json"], key="history.import",
        max_upload_size=most,
    )  # fmt: skip
    if uploaded is None or not st.button("Import", icon=":material/upload:"):
        return
    try:
        imported = import_runs(store, uploaded.getvalue(), by=visitor())
    except CandorError as error:
        report(error)
    else:
        known = f", {formatting.count(len(imported.known), 'run')} already here" if imported.known else ""
        report(f"{formatting.count(len(imported.added), 'run')} imported{known}.")
    st.rerun()


def _export(store: Runs, which: Filter) -> None:
    ids, fit = _matching(store, which)
    who = visitor()
    if not fit:
        st.caption(
            f"These runs don't fit into one file, which can hold {formatting.size(MOST_BYTES)}. Filter by model, page "
            "or date above, and export them in parts."
        )
    st.download_button(
        "Export all matches" + (f": {formatting.count(len(ids), 'run')}" if fit else ""),
        lambda: "".join(export_runs(store, ids, by=who)), "candor-runs.json", "application/json",
        icon=":material/download:", on_click="ignore", disabled=not ids or not fit,
    )  # fmt: skip


def _matching(store: Runs, which: Filter) -> tuple[list[str], bool]:
    """(ids of all matching runs, whether they fit into one file). Stops counting once they don't."""
    ids: list[str] = []
    size = 0
    start: int | None = 0
    while start is not None and size <= MOST_BYTES:
        some = listed(store.database, which, start=start, count=_AT_ONCE)
        ids += [run.id for run in some.runs]
        size += sum(map(exported_size, some.runs))
        start = some.following
    return ids, size <= MOST_BYTES
