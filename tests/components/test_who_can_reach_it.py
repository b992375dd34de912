"""The policy of the running app: open only on a private server, and what visitors of others see of errors."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st

from components.shell import access, messages
from components.shell.messages import in_markdown
from lib.access.policy import Policy
from lib.errors import CandorError


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server on loopback, and the headers of the current request."""
    request = SimpleNamespace(headers={"Host": "localhost:8501"})
    monkeypatch.setattr(access, "get_script_run_ctx", lambda **_: object())
    monkeypatch.setattr(access.st, "context", request)
    monkeypatch.setattr(access, "is_set_up", lambda: False)
    monkeypatch.setitem(access.forwarded, "seen", False)
    return request


def test_a_server_on_loopback_is_open() -> None:
    assert st.get_option("server.address") == "127.0.0.1"
    assert access.policy().open
    assert access.visitor().alone


def test_a_request_that_a_proxy_passed_on_closes_it_for_good(here: Any) -> None:
    here.headers["X-Forwarded-For"] = "203.0.113.5"
    assert not access.policy().open
    del here.headers["X-Forwarded-For"]
    assert not access.policy().open, "there is a proxy, whatever later requests look like"
    assert not access.visitor().alone


def test_signing_in_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "is_set_up", lambda: True)
    assert not access.policy().open


def test_the_operator_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_PUBLIC", "1")
    assert not access.policy().open


@pytest.mark.parametrize("is_open", [True, False])
def test_internals_are_for_the_servers_own_user(monkeypatch: pytest.MonkeyPatch, is_open: bool) -> None:
    monkeypatch.setattr(messages, "policy", lambda: Policy(is_open))
    error = CandorError("There is no model at /srv/models/llama.", "Look into /srv/models/.")
    shown = in_markdown(error.with_detail("connection to db.internal port 5432 failed"))
    assert ("srv" in shown) is is_open
    assert ("5432" in shown) is is_open
    assert "llama" in shown
