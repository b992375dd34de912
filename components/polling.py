"""Waiting for what is being looked up behind the page."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

_EVERY = 0.4  # seconds


def poll_until(ready: Callable[[], bool]) -> None:
    """Run the page again once `ready()`; nothing else may stand in the container of this."""
    with st.container():
        st.fragment(_look, run_every=_EVERY)(ready)


def _look(ready: Callable[[], bool]) -> None:
    if ready():
        st.rerun()
