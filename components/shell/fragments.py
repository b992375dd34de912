"""Parts of a page that run again by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from components.shell.streamlit_patches import drop_whole_fragments

_EVERY = 0.4  # seconds

drop_whole_fragments()


def repeated(draw: Callable[..., Any], seconds: float | None) -> Callable[..., Any]:
    """`draw` as a fragment that runs again so often, None for never. What follows it in its container may vanish."""
    return st.fragment(draw, run_every=seconds)


def poll_until(ready: Callable[[], bool]) -> None:
    """Run the page again once `ready()`; nothing else may stand in the container of this."""
    with st.container():
        repeated(_look, _EVERY)(ready)


def _look(ready: Callable[[], bool]) -> None:
    if ready():
        st.rerun()
