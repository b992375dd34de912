"""What all sessions of this process share: the engines, the jobs, and what visitors may do."""

from __future__ import annotations

import os
import threading

import streamlit as st

from lib.engines import Engines
from lib.jobs import Jobs
from lib.policy import Policy, policy_for
from lib.sources import EMBEDDED

_PATIENCE = 1.0  # seconds before heavy imports start, so that the first page is drawn first


@st.cache_resource(show_spinner=False)
def engines() -> Engines:
    """The engines of this process."""
    return Engines()


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """The jobs of this process."""
    return Jobs()


def policy() -> Policy:
    """What visitors may do, given the address this server listens on."""
    return policy_for(st.get_option("server.address"), os.environ)


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Load the embedded model behind the page, once per process. An error shows when someone asks for an answer."""

    def load() -> None:
        from contextlib import suppress

        from lib.errors import CandorError

        with suppress(CandorError):
            engines().get(EMBEDDED)

    if os.environ.get("CANDOR_WARM_UP", "1") != "0":
        timer = threading.Timer(_PATIENCE, load)
        timer.daemon = True
        timer.start()


def owner() -> str:
    """What tells this visitor's requests from those of others."""
    if "process.owner" not in st.session_state:
        st.session_state["process.owner"] = os.urandom(8).hex()
    return str(st.session_state["process.owner"])
