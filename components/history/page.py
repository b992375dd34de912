"""The history: looking for runs, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from components.jobs.current_job import PAGES
from components.shell.escaping import as_text, bold
from components.shell.messages import show_error
from components.shell.services import runs, visitor, why_no_runs
from components.shell.sign_in import identity
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.access.visitor import MOST_IMPORTED
from lib.display.token_map_view import TokenMapView
from lib.errors import CandorError
from lib.segmentation.char_classes import marked, plain
from lib.store.archive import MOST_BYTES, export_runs, exported_size, import_runs
from lib.store.queries import SORTS, Filter, Listed, counted, listed, names, put_back_all, remove_all, sizes
from lib.store.runs import DAMAGED, INCOMPLETE, Run, Runs, microseconds

_COUNT = 25
_WRITING = 10_000_000  # microseconds since it was last touched within which an incomplete run is still being written
_TITLE, _NOTE = 120, 10_000  # characters of a title and a note that can be typed
_STARTS, _REMOVED, _SAID = "history.starts", "history.removed", "history.said"


def history() -> None:
    """The whole page."""
    store = runs()
    if store is None:
        if (why := why_no_runs()) is not None:
            show_error(why)
        else:
            st.info("Runs are not saved here: CANDOR_STORE is off.", icon=":material/database_off:")
        return
    try:
        with st.container():  # so that what follows keeps its place, and stays open, when something is said
            _said()
        which, sort = _filter(store)
        found = listed(store.database, which, sort=sort, start=_starts(which, sort)[-1], count=_COUNT)
        chosen = _table(found, which)
        _pages(found)
        if chosen:
            _actions(store, chosen)
        _files(store, which)
        _kept(store)
    except CandorError as error:
        show_error(error)


def _whose() -> str | None:
    return visitor().whose


def _filter(store: Runs) -> tuple[Filter, str]:
    there = names(store.database, _whose())
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        text = st.text_input(
            "Look for", key="history.text", persist_state="session", icon=":material/search:",
            placeholder="any piece of a title, a prompt or an answer",
        )  # fmt: skip
        sort = st.selectbox("Sorted by", list(SORTS), key="history.sort", width=130)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        model = st.selectbox(
            "Model", there["model"], None, key="history.model", placeholder="any", format_func=plain
        )  # fmt: skip
        page = st.selectbox("Page", there["page"], None, key="history.page", placeholder="any", format_func=plain)
        tag = st.selectbox("Tag", there["tag"], None, key="history.tag", placeholder="any", format_func=plain)
        since = st.date_input("From", None, key="history.since", width=140)
        until = st.date_input("To", None, key="history.until", width=140)
    return Filter(
        text=text or "",
        page=page or "",
        model=model or "",
        tag=tag or "",
        owner=_whose(),
        shared=bool(identity()),
        since=_moment(since),
        until=_moment(until, days=1),
    ), sort


def _moment(day: date | None, days: int = 0) -> int | None:
    if day is None:
        return None
    return int((datetime.combine(day, time(), UTC) + timedelta(days=days)).timestamp() * 1e6)


def _starts(which: Filter, sort: str) -> list[int]:
    """Where the pages that were looked at begin, the present one last; begins anew with another filter."""
    asked = (which, sort)
    if st.session_state.get("history.asked") != asked:
        st.session_state["history.asked"], st.session_state[_STARTS] = asked, [0]
    starts: list[int] = st.session_state[_STARTS]
    return starts


def _table(found: Listed, which: Filter) -> list[Run]:
    if not found.runs:
        if which == Filter(owner=which.owner, shared=which.shared):
            st.info("Nothing has been asked yet. Every answer from Explore will stand here.", icon=":material/history:")
        else:
            st.info("No run is like that. Shorten the text, or take a filter away.", icon=":material/search_off:")
        return []
    rows = pd.DataFrame([_row(run) for run in found.runs])
    event: Any = st.dataframe(
        rows,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"history.table.{st.session_state.get('history.table', 0)}",
        column_config={
            "When": st.column_config.DatetimeColumn(format="calendar", timezone=st.context.timezone or "UTC"),
            "Tokens": st.column_config.NumberColumn(format="localized"),
            "Size": st.column_config.NumberColumn(format="bytes", help="As it is stored, in bytes."),
            "Tags": st.column_config.ListColumn(),
        },
    )
    return [found.runs[row] for row in event.selection.rows if row < len(found.runs)]


def _row(run: Run) -> dict[str, Any]:
    return {
        "When": datetime.fromtimestamp(run.created / 1e6, UTC),
        "Asked": marked(plain(run.title)),
        "Answer": marked(plain(run.excerpt)),
        "Model": plain(run.model),
        "Tokens": run.tokens,
        "Ended": _state(run),
        "Tags": list(map(plain, run.tags)),
        "Note": plain(run.note),
        "Size": run.bytes,
    }


def _state(run: Run) -> str:
    if run.state == DAMAGED:
        return "damaged: part of it cannot be read"
    if run.state != INCOMPLETE:
        return run.state
    return "being written" if abs(microseconds() - run.touched) < _WRITING else "cut off"


def _pages(found: Listed) -> None:
    starts: list[int] = st.session_state[_STARTS]
    if found.following is None and len(starts) == 1:
        return
    with st.container(horizontal=True, gap="small"):
        st.button("Back", icon=":material/chevron_left:", disabled=len(starts) == 1, on_click=starts.pop)
        st.button(
            "More", icon=":material/chevron_right:", disabled=found.following is None, on_click=starts.append,
            args=(found.following,),
        )  # fmt: skip


def _actions(store: Runs, chosen: list[Run]) -> None:
    ids, who = [run.id for run in chosen], visitor()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"**{formatting.count(len(chosen), 'run')} chosen**", width="content")
        if len(chosen) == 1 and st.button("Open", icon=":material/open_in_new:", type="primary"):
            page = chosen[0].page if chosen[0].page in PAGES else "explore"
            st.session_state[f"{page}.job"] = ids[0]
            st.session_state.pop(f"{page}.tree", None)
            st.switch_page(PAGES[page], query_params={"run": ids[0]})
        st.download_button(
            "Export", lambda: "".join(export_runs(store, ids, by=who)), "candor-runs.json", "application/json",
            icon=":material/download:", on_click="ignore",
            help="A file that this page imports, and that other programs can read.",
        )  # fmt: skip
        if all(map(_is_mine, chosen)):
            st.button("Delete", icon=":material/delete:", on_click=_remove, args=(store, ids))
    if len(chosen) == 1:
        _facts(chosen[0])
        if _is_mine(chosen[0]):
            _edit(store, chosen[0])
    if len(chosen) == 2:
        _side_by_side(store, chosen)


def _is_mine(run: Run) -> bool:
    """Whether the visitor may change a run; what others share can only be looked at."""
    return visitor().owns(run.owner)


def _facts(run: Run) -> None:
    facts = [
        "" if run.seconds is None else f"took {formatting.seconds(run.seconds)}",
        f"weights {run.model_fingerprint[:12]}" if run.model_fingerprint else "",
        f"vocabulary {run.tokenizer_fingerprint[:12]}" if run.tokenizer_fingerprint else "",
        f"Candor {run.version}" if run.version else "",
    ]
    st.caption(as_text(" · ".join(filter(None, facts))))


def _edit(store: Runs, run: Run) -> None:
    with st.form(f"history.edit.{run.id}", border=False):
        shown = plain(run.title)[:_TITLE], plain(run.note)[:_NOTE]
        title = st.text_input("Title", shown[0], max_chars=_TITLE)
        own = list(dict.fromkeys(map(plain, run.tags)))
        tags = st.multiselect("Tags", own, own, accept_new_options=True)
        note = st.text_area("Note", shown[1], max_chars=_NOTE, height=80)
        shared = run.shared
        if identity():
            shared = st.toggle(
                "Shared", run.shared, help="Others find it in their history, and its link opens for them."
            )
        if st.form_submit_button("Save"):
            # What is longer than can be typed stays, unless it was changed.
            title, note = (run.title if title == shown[0] else title), (run.note if note == shown[1] else note)
            store.change([run.id], title=title, note=note, shared=shared, by=visitor())
            store.tag(run.id, tags, by=visitor())
            st.rerun()


def _side_by_side(store: Runs, chosen: list[Run]) -> None:
    for place, (column, run) in enumerate(zip(st.columns(2, gap="medium"), chosen, strict=True)):
        opened = store.open(run.id)
        with column:
            st.markdown(bold(run.title))
            st.caption(as_text(run.model))
            done = [each.completion for each in opened[1] if each.completion is not None] if opened else []
            if not done:
                st.caption("No answer came.")
                continue
            which = 0
            if len(done) > 1:
                which = st.selectbox(
                    "Answer", range(len(done)), format_func=lambda number: f"{number + 1}",
                    key=f"history.beside.{place}.{run.id}",
                )  # fmt: skip
            map_with_pin(TokenMapView(done[which]), key=f"history.beside.{place}", beside="history.beside")


@dataclass(frozen=True)
class _Removed:
    """What was deleted last, and how to take that back."""

    count: int
    put_back: Callable[[], None]


def _remove(store: Runs, ids: list[str]) -> None:
    try:
        store.remove(ids, by=visitor())
        st.session_state[_REMOVED] = _Removed(len(ids), lambda: store.put_back(ids, by=visitor()))
        _choose_anew()
    except CandorError as error:
        st.session_state[_SAID] = error


def _remove_all(store: Runs, which: Filter, count: int) -> None:
    try:
        when = remove_all(store.database, which, by=visitor())
        st.session_state[_REMOVED] = _Removed(count, lambda: put_back_all(store.database, when, by=visitor()))
        _choose_anew()
    except CandorError as error:
        st.session_state[_SAID] = error


def _put_back() -> None:
    try:
        st.session_state[_REMOVED].put_back()
        st.session_state.pop(_REMOVED, None)
        _choose_anew()
    except CandorError as error:
        st.session_state[_SAID] = error


def _choose_anew() -> None:
    """A table with other rows begins with none of them chosen."""
    st.session_state["history.table"] = st.session_state.get("history.table", 0) + 1


def _said() -> None:
    """What came of the last action, and how to take it back."""
    said = st.session_state.pop(_SAID, None)
    if isinstance(said, CandorError):
        show_error(said)
    elif said:
        st.success(as_text(said), icon=":material/check:")
    removed: _Removed | None = st.session_state.get(_REMOVED)
    if removed is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(
                f"{formatting.count(removed.count, 'run')} deleted. They are erased for good later.", width="content"
            )
            st.button("Undo", icon=":material/undo:", type="tertiary", on_click=_put_back)


def _files(store: Runs, which: Filter) -> None:
    files = st.expander("Files", icon=":material/folder:", on_change="rerun", key="history.files")
    if not files.open:
        return
    with files:
        most = (MOST_BYTES if visitor().alone else MOST_IMPORTED) // 1_000_000
        uploaded = st.file_uploader(
            f"Import runs from a file of Candor, up to {most:,} MB", type=["json"], key="history.import",
            max_upload_size=most,
        )  # fmt: skip
        if uploaded is not None and st.button("Import", icon=":material/upload:"):
            try:
                came = import_runs(store, uploaded.getvalue(), by=visitor())
                known = f", {formatting.count(len(came.known), 'run')} there already" if came.known else ""
                st.session_state[_SAID] = f"{formatting.count(len(came.added), 'run')} added{known}."
            except CandorError as error:
                st.session_state[_SAID] = error
            st.rerun()
        ids, fit = _all(store, which)
        who = visitor()
        if not fit:
            st.caption(
                f"What is found does not fit into one file, which may have {formatting.size(MOST_BYTES)}. "
                "Choose a model, a page or some days above, and export these."
            )
        st.download_button(
            "Export all that is found" + (f": {formatting.count(len(ids), 'run')}" if fit else ""),
            lambda: "".join(export_runs(store, ids, by=who)), "candor-runs.json", "application/json",
            icon=":material/download:", on_click="ignore", disabled=not ids or not fit,
        )  # fmt: skip


def _all(store: Runs, which: Filter) -> tuple[list[str], bool]:
    """Ids of all that is found, and whether that fits into one file; of what does not, only as many as would."""
    ids: list[str] = []
    size = 0
    start: int | None = 0
    while start is not None and size <= MOST_BYTES:
        some = listed(store.database, which, start=start, count=500)
        ids += [run.id for run in some.runs]
        size += sum(map(exported_size, some.runs))
        start = some.following
    return ids, size <= MOST_BYTES


def _kept(store: Runs) -> None:
    """How much there is, and a way to have less of it."""
    found = sizes(store.database, _whose())
    st.caption(
        f"{formatting.count(found.runs, 'run')} kept, {formatting.count(found.tokens, 'token')} in all: answers "
        f"{formatting.size(found.answers)}, texts for the search {formatting.size(found.texts)} and an index of them."
    )
    old = st.expander("Delete old runs", icon=":material/auto_delete:", on_change="rerun", key="history.old")
    if old.open:
        with old:
            before = st.date_input("Those from before", date.today() - timedelta(days=365), key="history.before")
            which = Filter(owner=_whose(), until=_moment(before))
            count = counted(store.database, which) if before is not None else 0
            st.button(
                f"Delete {formatting.count(count, 'run')}", disabled=not count, icon=":material/delete:",
                on_click=_remove_all, args=(store, which, count),
            )  # fmt: skip
