"""Make app.py run before every page, whatever address the visitor opened.

Until `st.navigation` has been called once in the process, Streamlit discovers pages/ on its own, and a link to a page
runs that page without app.py. Each page therefore starts with `require_entrypoint`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

_ENTERED, _TARGET = "entry.entered", "entry.target"


def require_entrypoint(page: str) -> None:
    """Go through app.py and come back with the same query parameters. Every page calls this first."""
    if not st.session_state.get(_ENTERED):
        st.session_state[_TARGET] = (page, st.query_params.to_dict())
        st.switch_page("app.py")


@contextmanager
def entered() -> Iterator[None]:
    """Wrap everything app.py shows: mark the visit as entered, then continue to the page that was requested."""
    if target := st.session_state.pop(_TARGET, None):
        st.switch_page(target[0], query_params=target[1])
    st.session_state[_ENTERED] = True
    try:
        yield
    finally:
        st.session_state[_ENTERED] = False
