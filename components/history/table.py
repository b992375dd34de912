"""The table of saved runs, a page at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from components.shell.page_scripts import SCRIPTS
from lib.segmentation.char_classes import marked, plain
from lib.store.queries import Filter, Listed
from lib.store.run import Run, RunState, microseconds

_RUNNING_WITHIN = 10_000_000  # microseconds since its last write within which an incomplete run counts as running
_FILTER, _STARTS, _TABLE = "history.asked", "history.starts", "history.table"


def page_starts(which: Filter, sort: str) -> list[int]:
    """Where each page visited so far starts, the current one last. Starts over when the filter changes."""
    current = (which, sort)
    if st.session_state.get(_FILTER) != current:
        st.session_state[_FILTER], st.session_state[_STARTS] = current, [0]
    starts: list[int] = st.session_state[_STARTS]
    return starts


def run_table(found: Listed, which: Filter) -> list[Run]:
    """Show the runs; return the selected ones."""
    if not found.runs:
        _empty(filtered=which != Filter(owner=which.owner, shared=which.shared))
        return []
    event: Any = st.dataframe(
        pd.DataFrame([_row(run) for run in found.runs]),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"{_TABLE}.{st.session_state.get(_TABLE, 0)}",
        column_config={
            "When": st.column_config.DatetimeColumn(format="calendar", timezone=st.context.timezone or "UTC"),
            "Prompt": st.column_config.TextColumn(width=260),
            "Answer": st.column_config.TextColumn(width=260),
            "Tokens": st.column_config.NumberColumn(format="localized", help="Prompt and answer tokens."),
            "Size": st.column_config.NumberColumn(format="bytes", help="Bytes on disk, compressed."),
            "Tags": st.column_config.ListColumn(),
        },
    )
    return [found.runs[row] for row in event.selection.rows if row < len(found.runs)]


def clear_selection() -> None:
    """Select nothing in the table, whose rows have changed."""
    st.session_state[_TABLE] = st.session_state.get(_TABLE, 0) + 1


def _back() -> None:
    st.session_state[_STARTS].pop()


def paging(found: Listed) -> None:
    """Show buttons for the previous and the next page, if there is more than one."""
    starts: list[int] = st.session_state[_STARTS]
    if found.following is None and len(starts) == 1:
        return
    with st.container(horizontal=True, gap="small"):
        st.button("Previous", icon=":material/chevron_left:", disabled=len(starts) == 1, on_click=_back)
        st.button(
            "Next", icon=":material/chevron_right:", disabled=found.following is None, on_click=starts.append,
            args=(found.following,),
        )  # fmt: skip


def _empty(*, filtered: bool) -> None:
    if filtered:
        st.info("No matching runs. Try a shorter search or clear a filter.", icon=":material/search_off:")
        return
    st.info(
        "Your runs appear here as soon as you generate, compare or rank something. You can then search them, open "
        "them again, and compare two side by side.",
        icon=":material/history:",
    )
    st.page_link(SCRIPTS["explore"], label="Start in Explore", icon=":material/grid_on:")


def _row(run: Run) -> dict[str, Any]:
    return {
        "When": datetime.fromtimestamp(run.created / 1e6, UTC),
        "Prompt": marked(plain(run.title)),
        "Answer": marked(plain(run.excerpt)),
        "Model": plain(run.model),
        "Tokens": run.tokens,
        "State": _state(run),
        "Tags": list(map(plain, run.tags)),
        "Note": plain(run.note),
        "Size": run.bytes,
    }


def _state(run: Run) -> str:
    if run.state == RunState.DAMAGED:
        return "damaged: part of it cannot be read"
    if run.state != RunState.INCOMPLETE:
        return run.state
    return "running" if abs(microseconds() - run.touched) < _RUNNING_WITHIN else "interrupted"
