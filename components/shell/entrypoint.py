"""The way in: app.py runs before every page, whichever address the visitor came by.

Streamlit discovers pages/ by itself until `st.navigation` has been called once in the process, and until then a link
to a page runs that page alone. Each page therefore begins with `require_entrypoint`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

_ENTERED, _TARGET = "entry.entered", "entry.target"


def require_entrypoint(page: str) -> None:
    """Called first by every page: go through app.py, and come back with the same query parameters."""
    if not st.session_state.get(_ENTERED):
        st.session_state[_TARGET] = (page, st.query_params.to_dict())
        st.switch_page("app.py")


@contextmanager
def entered() -> Iterator[None]:
    """Around everything app.py shows: the visitor came in properly, and goes on to where they wanted."""
    if target := st.session_state.pop(_TARGET, None):
        st.switch_page(target[0], query_params=target[1])
    st.session_state[_ENTERED] = True
    try:
        yield
    finally:
        st.session_state[_ENTERED] = False
