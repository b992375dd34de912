"""Settings come back after a reload and a restart: those of the visitor, as far as the fields still take them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from components.shell import access, settings
from components.shell.page_scripts import SCRIPTS
from components.shell.services import services
from lib.access.policy import Policy
from lib.access.visitor import Visitor
from lib.store.database import Database
from lib.store.schema import SETTINGS
from lib.store.settings import MOST, read_settings, write_settings
from tests.components.explore.test_page import engine, opened  # noqa: F401 - a fixture
from tests.support.serve_clients import until

ARN = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234"


@pytest.fixture
def database(engine: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nobody: None) -> Iterator[Database]:  # noqa: F811
    """An empty store, which settings are kept in."""
    del engine
    monkeypatch.setenv("CANDOR_SETTINGS", "on")
    monkeypatch.setenv("CANDOR_STORE", f"sqlite:///{tmp_path}/runs.sqlite")
    store, engines = services().store, services().engines
    st.cache_resource.clear()
    services().engines = engines
    assert services().store is not store
    runs = services().store.runs()
    assert runs is not None
    yield runs.database
    runs.database.close()


def stored(database: Database, owner: str = "") -> dict[str, Any]:
    return read_settings(database, owner)


def on_bedrock() -> AppTest:
    page = opened()
    page.selectbox(key="model.choice").set_value("Amazon Bedrock").run()
    return page


def test_what_was_chosen_comes_back(database: Database) -> None:
    page = on_bedrock()
    page.selectbox(key="model.region").set_value("eu-central-1").run()
    page.text_input(key="model.arn").set_value(ARN.replace("us-east-1", "eu-central-1")).run()
    page.text_input(key="model.endpoint").set_value("127.0.0.1:9").run()
    page.number_input(key="explore.max_tokens").set_value(7).run()
    page.slider(key="explore.temperature").set_value(0.4).run()
    before = page.session_state["model"]
    assert not page.exception
    assert until(lambda: stored(database).get("explore.temperature") == 0.4)
    again = opened()
    assert again.session_state["model"] == before
    assert again.number_input(key="explore.max_tokens").value == 7
    assert again.slider(key="explore.temperature").value == 0.4


def test_settings_of_a_page_that_is_not_visited_stay(database: Database) -> None:
    write_settings(database, "", {"prompts.samples": 9, "rank.max_tokens": 55})
    page = opened()
    page.number_input(key="explore.k").set_value(3).run()
    assert until(lambda: stored(database).get("explore.k") == 3)
    assert stored(database)["prompts.samples"] == 9
    again = opened()
    again.switch_page(SCRIPTS["prompts"]).run()
    assert not again.exception
    assert again.number_input(key="prompts.samples").value == 9


WRONG = {
    "explore.mode": ["chatter", 5, None, "saved response"],
    "explore.max_tokens": [-1, 10**9, "7", 7.5, None, True],
    "explore.k": [21, -1],
    "explore.temperature": [3, "hot", float("inf"), -0.1],
    "explore.top_p": [0, 2],
    "explore.n": [0, 10**6],
    "explore.seed": [-1, 2**40, "x"],
    "explore.stop": [5, "x" * 5000],
    "explore.prompt": ["a prompt is no setting"],
    "model": ["anything"],
    "process.owner": ["somebody else"],
    "model.choice": ["No such model", 7],
    f"model.imported.{ARN}": ["yesterday", 5],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_what_a_field_does_not_take_is_forgotten(database: Database, key: str, value: Any) -> None:
    write_settings(database, "", {key: value})
    page = opened()
    assert key not in page.session_state or page.session_state[key] != value


GONE = {"model.profile": "no-such-profile", "model.imported_model": "no such model", f"model.form.{ARN}": "NONSENSE"}


@pytest.mark.parametrize("key", GONE)
def test_what_can_no_longer_be_chosen_is_forgotten(database: Database, key: str) -> None:
    write_settings(database, "", {key: GONE[key], "model.choice": "Amazon Bedrock", "model.arn": ARN})
    page = opened()
    assert page.session_state["model"].arn == ARN
    assert all(each.value != GONE[key] for each in page.selectbox)


@pytest.mark.parametrize("content", ["", "[]", "null", "{", '"x"', "[" * 100_000])
def test_damaged_settings_are_none(database: Database, content: str) -> None:
    write_settings(database, "", {"explore.k": 3})
    with database.writing() as connection:
        connection.execute(update(SETTINGS).values(content=content))
    assert stored(database) == {}
    assert opened().number_input(key="explore.k").value == 10


def test_settings_that_are_too_long_are_not_stored(database: Database) -> None:
    write_settings(database, "", {"explore.k": 3})
    write_settings(database, "", {"model.source": "x" * MOST})
    assert stored(database) == {}


@pytest.mark.parametrize(
    "endpoint", ["http://user:secret@127.0.0.1:9", "AWS_SECRET_ACCESS_KEY=secret http://127.0.0.1:9"]
)
def test_nothing_secret_is_stored(database: Database, endpoint: str) -> None:
    page = on_bedrock()
    page.text_input(key="model.endpoint").set_value(endpoint).run()
    page.text_input(key="model.arn").set_value(f"secret {ARN}").run()
    page.text_area(key="explore.prompt").set_value("secret").run()
    page.number_input(key="explore.k").set_value(4).run()
    assert until(lambda: stored(database).get("explore.k") == 4)
    assert "secret" not in json.dumps(stored(database))


def test_everyone_has_their_own(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "policy_for", lambda *_, **__: Policy(False))
    write_settings(database, "", {"explore.k": 3})
    write_settings(database, "user:b", {"explore.k": 4})
    for who, k in (
        (Visitor("user:a", alone=False, signed_in=True), 10),
        (Visitor("user:b", alone=False, signed_in=True), 4),
    ):
        monkeypatch.setattr(settings, "visitor", lambda who=who: who)
        assert opened().number_input(key="explore.k").value == k
    monkeypatch.setattr(settings, "visitor", lambda: Visitor("visit:1", alone=False))
    page = opened()
    assert page.number_input(key="explore.k").value == 10
    page.number_input(key="explore.k").set_value(5).run()
    assert stored(database, "visit:1") == {}


def test_they_can_be_switched_off(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(database, "", {"explore.k": 3})
    monkeypatch.setenv("CANDOR_SETTINGS", "off")
    page = opened()
    assert page.number_input(key="explore.k").value == 10
    page.number_input(key="explore.k").set_value(5).run()
    assert stored(database) == {"explore.k": 3}


def test_without_a_store_there_are_none(engine: object, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    del engine
    monkeypatch.setenv("CANDOR_SETTINGS", "on")
    monkeypatch.setattr(services().store, "runs", lambda: None)
    page = opened()
    page.number_input(key="explore.k").set_value(5).run()
    assert not page.exception
