"""What the structure promises: a new engine is one folder and one row, a new page is a plan, a form and a view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from streamlit.testing.v1 import AppTest

from components.jobs import current_job
from components.shell.services import services
from lib.access.visitor import ALONE
from lib.core.request import Request
from lib.core.sources import named_source, source_of
from lib.engines.base import Continues, Engine, Resident, Unsupported, Wakes
from lib.jobs.batch import Batch, State
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job
from lib.store.job_runs import run_about
from lib.store.plan_codec import plan_of
from lib.studies.plans import PLANS
from tests.promises import toy_engine, toy_page
from tests.support.asking import over
from tests.support.own_store import own_store

_MAX_LINES = 40
HERE = Path(__file__).parent
ECHO = toy_engine.Echo()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(PLANS, "twice", toy_page.TwicePlan)
    monkeypatch.setitem(current_job.PAGES, "twice", "pages/twice.py")
    with own_store(tmp_path, monkeypatch):
        yield


@pytest.mark.parametrize("name", ["toy_engine.py", "toy_page.py"])
def test_a_toy_is_short(name: str) -> None:
    assert len((HERE / name).read_text(encoding="utf-8").splitlines()) <= _MAX_LINES


def test_a_new_engine_answers_is_stored_and_is_asked_what_it_can() -> None:
    assert named_source("echo:") == ECHO == source_of(ECHO.as_json())
    assert services().label(ECHO) == "Echo"
    services().check_allowed(ECHO)
    batch = over(services().engines, Call(ECHO, Request("Hello", n=3)))
    assert [each.text for each in batch.completions] == ["Hello"] * 3
    assert services().capabilities(ECHO, chat=True) == Unsupported("An echo doesn't chat.")


def test_an_engine_is_refused_what_it_cannot_do() -> None:
    engine: Engine = toy_engine.EchoEngine()
    assert not [each for each in (Continues, Resident, Wakes) if isinstance(engine, each)]
    batch = over(
        Engines(lambda _: engine),
        Call(ECHO, Request("Hello", prefix_ids=(1,))),
        Call(ECHO, Request("Hello", max_tokens=0), candidates=("a",)),
        Call(ECHO, Request("Hello", max_tokens=0), candidates=("b",)),
    )
    assert "can't continue an answer" in str(batch.outcomes[0].error)
    assert [each.state for each in batch.outcomes] == [State.FAILED, State.NOT_STARTED, State.NOT_STARTED]


def page() -> None:
    import streamlit as st

    from tests.promises.toy_engine import Echo
    from tests.promises.toy_page import TWICE

    st.session_state["model"] = Echo()
    TWICE.show()


def test_a_new_page_asks_shows_keeps_and_reopens() -> None:
    shown = AppTest.from_function(page, default_timeout=20).run()
    assert [each.value for each in shown.caption][-1] == "Ask."
    shown.button(key="twice.go").click().run()
    job = services().jobs.find(shown.session_state["twice.job"], ALONE)
    assert job is not None
    assert job.wait(10)
    shown.run()
    assert not shown.exception
    assert "Hello! · Hello?" in [each.value for each in shown.markdown]

    plan = job.plan
    run = run_about(cast("Job[Batch]", job), "twice", owner="", version="1")
    assert plan_of(run) == plan == toy_page.TwicePlan(ECHO, "Hello")
    store = services().store.runs()
    assert store is not None
    writer = services().store.writer
    assert writer is not None
    assert writer.close(10)
    saved = store.open(job.id)
    assert saved is not None
    assert [each.completion.text for each in saved[1] if each.completion] == ["Hello!", "Hello?"]
