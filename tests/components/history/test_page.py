"""The History page with one row that Candor did not write: it is shown, marked as damaged, and can be removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from components.history import page as history_page
from components.shell import sign_in
from components.shell.access import policy
from lib.access.visitor import ALONE
from lib.store.database import open_database
from lib.store.queries import Filter, listed
from lib.store.run import Answer, Run, RunState
from lib.store.runs import Runs
from tests.benchmarks.completions import long_completion
from tests.support.faulty_files import failing

DONE = long_completion(20)
ODD = "\ud800 \0 \udfff \x1b"


def page() -> None:
    from components.history.page import history

    history()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    runs = Runs(open_database(f"sqlite:///{tmp_path}/runs.sqlite"))
    for name in ("one", "two", "three"):
        run = Run(id=f"run-{name}", page="explore", model="m", title=name, state=RunState.FINISHED)
        runs.finish(run, [Answer(DONE)])
        runs.tag(run.id, ["tag"], by=ALONE)
    shared = SimpleNamespace(store=SimpleNamespace(runs=lambda: runs, failure=None))
    monkeypatch.setattr(history_page, "services", lambda: shared)
    yield runs
    runs.database.close()


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Select rows of the table as a click would; AppTest cannot."""
    drawn = st.dataframe

    def given(*rows: int) -> None:
        def dataframe(*args: Any, **options: Any) -> Any:
            drawn(*args, **options)
            return SimpleNamespace(selection=SimpleNamespace(rows=list(rows)))

        monkeypatch.setattr(st, "dataframe", dataframe)

    return given


def opened() -> AppTest:
    shown = AppTest.from_function(page, default_timeout=20).run()
    assert not shown.exception, [each.message for each in shown.exception]
    return shown


def rows_of(shown: AppTest) -> list[dict[str, Any]]:
    return shown.dataframe[0].value.to_dict("records")  # type: ignore[no-any-return]


# SQL that damages the row, and whether Candor can tell.
DAMAGES: dict[str, tuple[str, bool]] = {
    "a time after the year 9999": ("created = 4611686018427387903", True),
    "a time before 1970": ("created = -4611686018427387904", True),
    "a time that is a text": ("created = 'yesterday'", True),
    "a time last touched of all": ("touched = 9223372036854775807", True),
    "a surrogate in the title": (r"title = '\ud800'", False),
    "a surrogate in the page": (r"page = '\ud800'", False),
    "bytes for a title": ("title = x'ff00fe'", False),
    "text that is no UTF-8": ("title = CAST(x'ff00fe' AS TEXT)", False),
    "text that is no UTF-8 in the model": ("model = CAST(x'c3' AS TEXT)", False),
    "a page that there is not": ("page = '../../etc'", False),
    "a state that there is not": ("state = 'exploded'", True),
    "no state": ("state = ''", True),
    "details that are no JSON": ("details = '{'", True),
    "details that are a list": ("details = '[1]'", True),
    "details of a hundred thousand brackets": (f"details = '{'[' * 100_000}'", True),
    "an error that is no pair": ("error = '[1]'", True),
    "an error that is no JSON": ("error = 'x'", True),
    "a count that is a text": ("tokens = 'many'", True),
    "a count beyond all": ("tokens = 9223372036854775807", True),
    "a size that is below zero": ("bytes = -1", False),
    "seconds without end": ("seconds = 9e999", True),
    "seconds that are a text": ("seconds = 'long'", True),
    "shared as something else": ("shared = 7", False),
    "a model of another kind": ("model = 3.5", False),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_bad_row_breaks_nothing_and_can_be_removed(store: Runs, choose: Callable[..., None], damage: str) -> None:
    change, told = DAMAGES[damage]
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET {change} WHERE id = 'run-two'")
    rows = rows_of(opened())
    assert len(rows) == 3
    place = next(at for at, row in enumerate(rows) if row["Prompt"] not in ("one", "three"))
    assert rows[place]["State"].startswith("damaged") == told
    others = [row for row in rows if row["Prompt"] in ("one", "three")]
    assert [row["State"] for row in others] == [RunState.FINISHED] * 2
    choose(place)
    shown = opened()
    next(each for each in shown.button if each.label == "Remove from history").click().run()
    assert not shown.exception
    assert sorted(run.title for run in listed(store.database, Filter()).runs) == ["one", "three"]


def test_a_bad_tag_breaks_nothing(store: Runs, choose: Callable[..., None]) -> None:
    store.tag("run-two", [ODD, "x" * 200], by=ALONE)
    with store.database.writing() as connection:
        connection.execute(text("UPDATE tags SET tag = CAST(x'ff' AS TEXT) WHERE tag = 'tag'"))
    rows = rows_of(opened())
    assert sorted(len(row["Tags"]) for row in rows) == [1, 1, 2]
    choose(next(at for at, row in enumerate(rows) if row["Prompt"] == "two"))
    opened()


@pytest.mark.parametrize("data", ["NULL", "x''", "x'00'", "'text'", "7", "zeroblob(1000)"])
def test_a_bad_answer_breaks_nothing(store: Runs, choose: Callable[..., None], data: str) -> None:
    with store.database.writing() as connection:
        number = connection.execute(text("SELECT number FROM runs WHERE id = 'run-two'")).scalar_one()
        connection.exec_driver_sql(f"UPDATE answers SET data = {data} WHERE run = {number}")
    places = {row["Prompt"]: at for at, row in enumerate(rows_of(opened()))}
    assert len(places) == 3
    choose(places["two"])
    opened()
    choose(places["one"], places["two"])
    shown = opened()
    assert len(shown.get("bidi_component")) == 1, "the other one is shown"


def test_an_error_of_the_store_is_shown(store: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE tags")
    (said,) = opened().error
    assert "tags" not in said.value or policy().open
    assert not sign_in.is_set_up()


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("off", "CANDOR_STORE is off"),
        ("mysql://host/runs", "cannot save runs in mysql"),
        ("sqlite:///{}/runs.sqlite", "fails to lock or write the file"),
    ],
)
def test_why_there_is_no_history(named: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_STORE", named.format(tmp_path))
    st.cache_resource.clear()
    with failing("no locks"):
        shown = AppTest.from_function(page, default_timeout=20).run()
    assert not shown.exception
    assert any(told in each.value.replace("\\", "") for each in [*shown.error, *shown.info])
    st.cache_resource.clear()


def test_pages_are_filtered_by_their_titles(store: Runs) -> None:
    store.finish(Run(id="run-four", page="prompts", model="m", title="four", state=RunState.FINISHED), [Answer(DONE)])
    shown = opened()
    assert shown.selectbox(key="history.page").options == ["Explore", "Prompts"]
    shown.selectbox(key="history.page").set_value("prompts").run()
    assert [row["Prompt"] for row in rows_of(shown)] == ["four"]
