"""Who is visiting, and what they may do."""

from __future__ import annotations

import os

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from components.shell.sign_in import identity, is_set_up
from lib.access.policy import Policy, is_forwarded, policy_for
from lib.access.visitor import ALONE, MOST_UPLOADED, SIGNED_OUT, Visitor

forwarded = {"seen": False}  # whether a proxy has ever passed on a request: others can then reach this server


def policy() -> Policy:
    """What visitors may do, given who can reach this server. Raises InvalidRequest for invalid CANDOR_* values."""
    if get_script_run_ctx(suppress_warning=True) is not None and is_forwarded(st.context.headers):
        forwarded["seen"] = True
    return policy_for(
        st.get_option("server.address"),
        os.environ,
        names=[*st.get_option("server.allowedHosts"), st.get_option("browser.serverAddress")],
        signs_in=is_set_up(),
        forwarded=forwarded["seen"],
    )


def visitor() -> Visitor:
    """The current visitor: a signed-in account, this browser session on a shared server, or the server's own user."""
    if who := identity():
        return Visitor(f"user:{who}", alone=False, signed_in=True)
    if is_set_up():
        return SIGNED_OUT
    return ALONE if policy().open else Visitor(f"visit:{owner()}", alone=False)


def owner() -> str:
    """A random id that separates this session's requests from those of other sessions."""
    if "process.owner" not in st.session_state:
        st.session_state["process.owner"] = os.urandom(8).hex()
    return str(st.session_state["process.owner"])


def most_uploaded() -> int | None:
    """The largest file the visitor may upload, in MB; None for the server's own limit."""
    return None if visitor().alone else MOST_UPLOADED
