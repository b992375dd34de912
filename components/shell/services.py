"""What all sessions of this process share: engines, jobs, trees of answers, the AWS account, what visitors may do."""

from __future__ import annotations

import atexit
import os
import threading
import time
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from components.shell.sign_in import identity, is_set_up
from lib.access.policy import Places, Policy, is_forwarded, policy_for
from lib.access.visitor import ALONE, MOST_UPLOADED, SIGNED_OUT, Visitor
from lib.core.sources import EMBEDDED, BedrockModel, Source, region_of
from lib.costs.ledger import Ledger, ledger_for
from lib.engines.base import Engine
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.clients import REGIONS, usual_region
from lib.errors import CandorError, InvalidRequest
from lib.jobs.answer_tree import Trees
from lib.jobs.engine_pool import Engines, open_source
from lib.jobs.job import Jobs
from lib.store.database import open_database
from lib.store.runs import Runs
from lib.store.writer import RunWriter

_STORE, _UNDO = "CANDOR_STORE", "CANDOR_UNDO_MINUTES"
_LAST = 5.0  # seconds to write what is left when the program ends
_COOLING = 5.0  # seconds after which a store that could not be opened is tried again
_failed: dict[str, Any] = {"until": 0.0, "why": None}  # the store, when it was opened last
_forwarded = {"seen": False}  # whether a proxy has passed on a request; then others can reach this server
_PATIENCE = 1.0  # seconds before heavy imports start, so that the first page is drawn first


@st.cache_resource(show_spinner=False)
def engines() -> Engines:
    """The engines of this process."""
    return Engines(_open_allowed)


def _open_allowed(source: Source) -> Engine:
    """The engine of a source; a model on this machine is checked here once more, as nothing else opens it."""
    if isinstance(source, str):
        policy().check(source)
    return open_source(source, account=account(), ledger=ledger())


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """The jobs of this process."""
    return Jobs()


@st.cache_resource(show_spinner=False)
def trees() -> Trees:
    """The trees of answers of this process."""
    return Trees()


@st.cache_resource(show_spinner=False)
def account() -> Account:
    """What is known of Bedrock's imported models."""
    return Account(places=Places(policy, _is_region_of_visitors), ledger=ledger())


def _is_region_of_visitors(region: str) -> bool:
    """Whether visitors may have Bedrock called there: in the picker's regions, and in those of listed models."""
    named = map(region_of, policy().allowed)
    return region in REGIONS or region in named or region == usual_region()  # the last reads AWS's settings


@st.cache_resource(show_spinner=False)
def ledger() -> Ledger:
    """What calls of Bedrock cost, and may. Raises InvalidRequest where the environment says it wrong."""
    return ledger_for(os.environ)


@st.cache_resource(show_spinner=False)
def _open_runs() -> Runs:
    return Runs(open_database(os.environ.get(_STORE, "").strip()))


def runs() -> Runs | None:
    """The store of runs; None where nothing is to be kept, or it cannot be opened now."""
    if os.environ.get(_STORE, "").strip() == "off":
        return None
    if time.monotonic() < _failed["until"]:
        return None
    try:
        opened = _open_runs()
    except CandorError as error:
        # Pages need not wait for it every time.
        _failed.update(until=time.monotonic() + _COOLING, why=error)
        return None
    _failed["why"] = None
    return opened


def why_no_runs() -> CandorError | None:
    """Why the store could not be opened; None where it was, or nothing is to be saved."""
    why: CandorError | None = _failed["why"]
    return why


@st.cache_resource(show_spinner=False)
def run_writer() -> RunWriter | None:
    """Whoever writes jobs into the store; None where nothing is to be kept. Raises InvalidRequest as `ledger`."""
    if os.environ.get(_STORE, "").strip() == "off":
        return None
    minutes = os.environ.get(_UNDO, "").strip() or "60"
    if not minutes.isdecimal():
        raise InvalidRequest(f"{_UNDO} is {minutes!r}.", "Set it to a number of minutes.")
    made = RunWriter(_open_runs)
    made.erase_removed(60.0 * int(minutes))
    atexit.register(made.close, _LAST)
    return made


def visitor() -> Visitor:
    """Who asks: an account where visitors sign in, this visit where others reach the server, else its one user."""
    if who := identity():
        return Visitor(f"user:{who}", alone=False, signed_in=True)
    if is_set_up():
        return SIGNED_OUT
    return ALONE if policy().open else Visitor(f"visit:{owner()}", alone=False)


def most_uploaded() -> int | None:
    """The size in MB of a file that the visitor may upload; None for the server's own limit."""
    return None if visitor().alone else MOST_UPLOADED


def policy() -> Policy:
    """What visitors may do, given who can reach this server. Raises as `ledger`."""
    if get_script_run_ctx(suppress_warning=True) is not None and is_forwarded(st.context.headers):
        _forwarded["seen"] = True
    return policy_for(
        st.get_option("server.address"),
        os.environ,
        names=[*st.get_option("server.allowedHosts"), st.get_option("browser.serverAddress")],
        signs_in=is_set_up(),
        forwarded=_forwarded["seen"],
    )


def check_allowed(source: Source) -> None:
    """Raise InvalidRequest when this visitor may not ask that model."""
    listed: tuple[str, ...] = ()
    if isinstance(source, BedrockModel):
        account().check(source)
        if policy().needs_list(source):
            found = account().models_nowait(source.place)
            listed = tuple(each.arn for each in (found.value if found is not None else None) or ())
    policy().check(source, listed)


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
