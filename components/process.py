"""What all sessions of this process share: engines, jobs, trees of answers, the AWS account, what visitors may do."""

from __future__ import annotations

import os
import threading
from functools import partial

import streamlit as st

from lib.bedrock.account import Account
from lib.engines import Engines, open_source
from lib.jobs import Jobs
from lib.ledger import Ledger, ledger_for
from lib.policy import Policy, policy_for
from lib.sources import EMBEDDED, BedrockModel, Source
from lib.tree import Trees

_PATIENCE = 1.0  # seconds before heavy imports start, so that the first page is drawn first


@st.cache_resource(show_spinner=False)
def engines() -> Engines:
    """The engines of this process."""
    return Engines(partial(open_source, account=account(), ledger=ledger()))


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
    return Account()


@st.cache_resource(show_spinner=False)
def ledger() -> Ledger:
    """What calls of Bedrock cost, and may. Raises InvalidRequest where the environment says it wrong."""
    return ledger_for(os.environ)


def policy() -> Policy:
    """What visitors may do, given the address this server listens on. Raises as `ledger`."""
    return policy_for(st.get_option("server.address"), os.environ)


def check_allowed(source: Source) -> None:
    """Raise InvalidRequest when this visitor may not ask that model."""
    listed: tuple[str, ...] = ()
    if isinstance(source, BedrockModel):
        found = account().peek_models(source.place)
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
