"""The services of this process, shared by all sessions."""

from __future__ import annotations

import atexit
import os
import threading

import streamlit as st

from components.shell.access import policy
from lib.services import Services

_FLUSH_TIMEOUT = 5.0  # seconds to write unsaved runs when the program ends
_WARM_UP_DELAY = 1.0  # seconds before heavy imports start, so that the first page renders first


@st.cache_resource(show_spinner=False)
def services() -> Services:
    """The services of this process. Raises InvalidRequest for invalid CANDOR_* values."""
    made = Services(os.environ, policy)
    if made.store.writer is not None:
        atexit.register(made.store.writer.close, _FLUSH_TIMEOUT)
    return made


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Load the embedded model in the background, once per process."""
    if os.environ.get("CANDOR_WARM_UP", "1") != "0":
        timer = threading.Timer(_WARM_UP_DELAY, _load, [services()])
        timer.daemon = True
        timer.start()


def _load(shared: Services) -> None:
    shared.load_embedded()
    import pandas  # noqa: F401 - the tables below the first answer need it
    import plotly.graph_objects  # noqa: F401 - and the charts
