"""Which saved runs to list, and in what order."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import streamlit as st

from components.jobs.current_job import PAGES
from components.shell.access import visitor
from components.shell.sign_in import identity
from lib import formatting
from lib.segmentation.char_classes import plain
from lib.store.queries import SORTS, Filter, names
from lib.store.runs import Runs

_SORTED_BY = {"newest": "Newest first", "oldest": "Oldest first", "longest": "Longest first", "title": "Title"}


def whose() -> str | None:
    """The owner whose runs are listed; None for all, if the server has no other users."""
    return visitor().whose


def run_filter(store: Runs) -> tuple[Filter, str]:
    """Show the search field and the filters; return the filter and the sort order."""
    known = names(store.database, whose())
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        text = st.text_input(
            "Search", key="history.text", persist_state="session", icon=":material/search:",
            placeholder="Any part of a title, prompt or answer",
        )  # fmt: skip
        sort = st.selectbox(
            "Sort by", list(SORTS), key="history.sort", width=150, format_func=lambda each: _SORTED_BY.get(each, each)
        )
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        model = st.selectbox("Model", known["model"], None, key="history.model", placeholder="Any", format_func=plain)
        page = st.selectbox("Page", known["page"], None, key="history.page", placeholder="Any", format_func=page_title)
        tag = st.selectbox("Tag", known["tag"], None, key="history.tag", placeholder="Any", format_func=plain)
        since = st.date_input("From", None, key="history.since", width=140)
        until = st.date_input("To", None, key="history.until", width=140)
    return Filter(
        text=text or "",
        page=page or "",
        model=model or "",
        tag=tag or "",
        owner=whose(),
        shared=bool(identity()),
        since=start_of(since),
        until=start_of(until, days=1),
    ), sort


def page_title(page: str) -> str:
    """A page's title. The name of an unknown page, such as one from an imported file, is shown unchanged."""
    return formatting.capital(page) if page in PAGES else plain(page)


def start_of(day: date | None, *, days: int = 0) -> int | None:
    """Midnight UTC that many days after `day`, in microseconds since 1970; None without a day."""
    if day is None:
        return None
    return int((datetime.combine(day, time(), UTC) + timedelta(days=days)).timestamp() * 1e6)
