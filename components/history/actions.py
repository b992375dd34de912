"""Actions on the selected runs: open, export, remove, edit; two are compared side by side."""

from __future__ import annotations

import streamlit as st

from components.history.removal import remove
from components.jobs.current_job import PAGES
from components.shell.access import visitor
from components.shell.escaping import as_text, bold
from components.shell.sign_in import identity
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.core.completion import Completion
from lib.display.token_map_view import TokenMapView
from lib.segmentation.char_classes import plain
from lib.store.archive import export_runs
from lib.store.run import Run
from lib.store.runs import Runs

_READABLE = ("explore", "rank", "prompts", "models")  # pages whose answers Doubts shows
_TITLE, _NOTE = 120, 10_000  # characters of a title and a note that can be typed


def run_actions(store: Runs, chosen: list[Run]) -> None:
    """Show what can be done with the selected runs."""
    ids, who = [run.id for run in chosen], visitor()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"**{formatting.count(len(chosen), 'run')} selected**", width="content")
        if len(chosen) == 1 and st.button("Open", icon=":material/open_in_new:", type="primary"):
            _open(chosen[0], chosen[0].page)
        if len(chosen) == 1 and chosen[0].page in _READABLE and st.button("Find doubts", icon=":material/flag:"):
            _open(chosen[0], "doubts")
        st.download_button(
            "Export", lambda: "".join(export_runs(store, ids, by=who)), "candor-runs.json", "application/json",
            icon=":material/download:", on_click="ignore",
            help="A JSON file that this page can import and other programs can read.",
        )  # fmt: skip
        if all(map(_is_mine, chosen)):
            st.button("Remove from history", icon=":material/delete:", on_click=remove, args=(store, ids))
    if len(chosen) == 1:
        _facts(chosen[0])
        if _is_mine(chosen[0]):
            _edit(store, chosen[0])
    if len(chosen) == 2:
        _side_by_side(store, chosen)


def _open(run: Run, page: str) -> None:
    page = page if page in PAGES else "explore"
    st.session_state[f"{page}.job"] = run.id
    st.session_state.pop(f"{page}.tree", None)
    st.switch_page(PAGES[page], query_params={"run": run.id})


def _is_mine(run: Run) -> bool:
    """Whether the visitor may change the run. Runs shared by others are read-only."""
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
        tags = st.multiselect("Tags", own, own, accept_new_options=True, placeholder="Choose or type tags")
        note = st.text_area("Note", shown[1], max_chars=_NOTE, height=80)
        shared = run.shared
        if identity():
            shared = st.toggle(
                "Shared", run.shared, help="Others see it in their history, and its link opens for them."
            )
        if st.form_submit_button("Save"):
            # A title or note longer than the field stays whole unless it was edited.
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
            if done:
                shown = _one_of(done, key=f"history.beside.{place}.{run.id}")
                map_with_pin(TokenMapView(shown), key=f"history.beside.{place}", beside="history.beside")
            else:
                st.caption("This run has no answer.")


def _one_of(done: list[Completion], *, key: str) -> Completion:
    if len(done) == 1:
        return done[0]
    which: int = st.selectbox("Answer", range(len(done)), format_func=lambda number: f"{number + 1}", key=key)
    return done[which]
