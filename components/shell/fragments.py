"""Parts of a page that rerun on a timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from components.shell.streamlit_patches import drop_whole_fragments

_EVERY = 0.4  # seconds

drop_whole_fragments()


def repeated(draw: Callable[..., Any], seconds: float | None) -> Callable[..., Any]:
    """Make `draw` a fragment that reruns at this interval, or never for None.

    Put nothing after it in its container: Streamlit may drop that when the fragment reruns.
    """
    return st.fragment(draw, run_every=seconds)


def poll_until(ready: Callable[[], bool]) -> None:
    """Rerun the page once `ready()` is true. Put nothing else in the container around this."""
    with st.container():
        repeated(_look, _EVERY)(ready)


def _look(ready: Callable[[], bool]) -> None:
    if ready():
        st.rerun()
