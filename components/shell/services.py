"""What all sessions of this process share: engines, jobs, answer trees, the AWS account, the ledger, the run store."""

from __future__ import annotations

import atexit
import os
import threading
import time
from contextlib import suppress
from typing import Any

import streamlit as st

from components.shell.access import most_uploaded, owner, policy, visitor
from lib.access.places import Places
from lib.core.sources import EMBEDDED, BedrockModel, Source, region_of
from lib.costs.ledger import Ledger, ledger_for
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.clients import REGIONS, usual_region
from lib.errors import CandorError, InvalidRequest
from lib.jobs.answer_tree import Trees
from lib.jobs.engine_pool import AnyEngine, Engines, open_source
from lib.jobs.job import Jobs
from lib.store.database import open_database
from lib.store.runs import Runs
from lib.store.writer import RunWriter

__all__ = [
    "account",
    "check_allowed",
    "engines",
    "jobs",
    "ledger",
    "most_uploaded",
    "owner",
    "policy",
    "run_writer",
    "runs",
    "trees",
    "visitor",
    "warm_up",
    "why_no_runs",
]

_STORE, _UNDO = "CANDOR_STORE", "CANDOR_UNDO_MINUTES"
_FLUSH_TIMEOUT = 5.0  # seconds to write unsaved runs when the program ends
_RETRY_AFTER = 5.0  # seconds before a store that failed to open is tried again
_WARM_UP_DELAY = 1.0  # seconds before heavy imports start, so that the first page renders first
store_failure: dict[str, Any] = {"until": 0.0, "why": None}  # the last failure to open the store


@st.cache_resource(show_spinner=False)
def engines() -> Engines:
    """The engines of this process."""
    return Engines(_open_allowed)


def _open_allowed(source: Source) -> AnyEngine:
    """Open a source's engine. Local models are checked once more here: no other code opens them."""
    if isinstance(source, str):
        policy().check(source)
    return open_source(source, account=account(), ledger=ledger())


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """The jobs of this process."""
    return Jobs()


@st.cache_resource(show_spinner=False)
def trees() -> Trees:
    """The answer trees of this process."""
    return Trees()


@st.cache_resource(show_spinner=False)
def account() -> Account:
    """What is known about imported models on Bedrock."""
    return Account(places=Places(policy, _is_region_of_visitors), ledger=ledger())


def _is_region_of_visitors(region: str) -> bool:
    """Whether visitors may call Bedrock in a region: one the picker offers, or one of a listed model."""
    named = map(region_of, policy().allowed)
    return region in REGIONS or region in named or region == usual_region()  # the last reads AWS's settings


@st.cache_resource(show_spinner=False)
def ledger() -> Ledger:
    """The spend ledger and its caps. Raises InvalidRequest for invalid CANDOR_* values."""
    return ledger_for(os.environ)


@st.cache_resource(show_spinner=False)
def _open_runs() -> Runs:
    return Runs(open_database(os.environ.get(_STORE, "").strip()))


def runs() -> Runs | None:
    """The store of runs; None if saving is off or the store cannot be opened now."""
    if os.environ.get(_STORE, "").strip() == "off":
        return None
    if time.monotonic() < store_failure["until"]:
        return None
    try:
        opened = _open_runs()
    except CandorError as error:
        # Do not make every page wait for another attempt.
        store_failure.update(until=time.monotonic() + _RETRY_AFTER, why=error)
        return None
    store_failure["why"] = None
    return opened


def why_no_runs() -> CandorError | None:
    """Why the store could not be opened; None if it was, or if saving is off."""
    why: CandorError | None = store_failure["why"]
    return why


@st.cache_resource(show_spinner=False)
def run_writer() -> RunWriter | None:
    """The writer that saves jobs; None if saving is off. Raises InvalidRequest for invalid CANDOR_* values."""
    if os.environ.get(_STORE, "").strip() == "off":
        return None
    minutes = os.environ.get(_UNDO, "").strip() or "60"
    if not minutes.isdecimal():
        raise InvalidRequest(f"{_UNDO} is {minutes!r}.", "Set it to a number of minutes.")
    made = RunWriter(_open_runs)
    made.erase_removed(60.0 * int(minutes))
    atexit.register(made.close, _FLUSH_TIMEOUT)
    return made


def check_allowed(source: Source) -> None:
    """Raise InvalidRequest if this visitor may not use the model."""
    listed: tuple[str, ...] = ()
    if isinstance(source, BedrockModel):
        account().check(source)
        if policy().needs_list(source):
            found = account().models_nowait(source.place)
            listed = tuple(each.arn for each in (found.value if found is not None else None) or ())
    policy().check(source, listed)


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Load the embedded model in the background, once per process. A failure surfaces with the first request."""
    if os.environ.get("CANDOR_WARM_UP", "1") != "0":
        timer = threading.Timer(_WARM_UP_DELAY, _load_embedded)
        timer.daemon = True
        timer.start()


def _load_embedded() -> None:
    with suppress(CandorError):
        engines().get(EMBEDDED)
