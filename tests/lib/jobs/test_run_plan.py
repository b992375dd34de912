"""A request as a job: what it publishes while it runs, and what it keeps when it is cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib.core.request import Request
from lib.core.sources import LocalModel, Source
from lib.engines.base import CallContext, Engine
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.engines.local.opening import open_local
from lib.engines.local.scheduler import MAX_ACTIVE_EACH
from lib.errors import Cancelled, InvalidRequest, ModelUnavailable
from lib.jobs.batch import Batch, State
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job
from lib.studies.exploration import ExplorePlan
from tests.support import tiny
from tests.support.asking import answer, error, job_for, start

_WAIT = 30.0
_ENDLESS = Request(prompt="a", max_tokens=90_000)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that generates "babababa…" forever."""
    logits = tiny.chain("ab", follow={ord("b"): ord("a")})
    return tiny.make_markov(tmp_path_factory.mktemp("asking") / "model", logits, context=100_000)


@pytest.fixture
def engine(directory: Path) -> Iterator[LocalEngine]:
    made = LocalEngine(load(str(directory)), budget=10**9)
    yield made
    made.close()


@pytest.fixture
def engines(engine: LocalEngine) -> Engines:
    return Engines(lambda _: engine)


def _until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + _WAIT
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.005)


def _start(engines: Engines, request: Request, owner: str = "") -> Job[Batch]:
    return start(engines, Call(LocalModel("model"), request), owner=owner)


def _text(job: Job[Batch]) -> str:
    """The text of the job's answer so far."""
    done = answer(job.result or job.partial)
    return "" if done is None else done.text


def _is_not_started(job: Job[Batch]) -> None:
    assert job.result is not None
    assert [(each.state, each.completion, each.error) for each in job.result.outcomes] == [
        (State.NOT_STARTED, None, None)
    ]


def test_the_result_is_the_completion(engines: Engines, engine: LocalEngine) -> None:
    request = Request(prompt="a", max_tokens=5)
    job = _start(engines, request)
    assert job.wait(_WAIT)
    assert answer(job.result) == engine.complete(request)[0]
    assert job.error is None
    assert job.plan == ExplorePlan(Call(LocalModel("model"), request))


def test_partial_answers_grow(engines: Engines) -> None:
    job = _start(engines, _ENDLESS)
    _until(lambda: answer(job.partial) is not None)
    first = answer(job.partial)
    assert first is not None
    assert first.stop_reason == "incomplete"
    assert len(first.prompt) == 1
    assert job.note == "Generating"
    _until(lambda: len(_text(job)) > len(first.text) + 10)
    job.cancel()
    assert job.wait(_WAIT)


def test_cancelling_keeps_the_partial_answer(engines: Engines, engine: LocalEngine) -> None:
    job = _start(engines, _ENDLESS)
    _until(lambda: len(_text(job)) > 5)
    shown = _text(job)
    job.cancel()
    assert job.wait(_WAIT)
    assert error(job.result) is None
    done = answer(job.result)
    assert done is not None
    assert done.stop_reason == "cancelled"
    assert done.text.startswith(shown)
    assert len(done.generated) == len(done.text)
    assert len(engine.complete(Request(prompt="a", max_tokens=3))) == 1  # its slot is free


def test_a_job_cancelled_in_the_queue_has_no_result(engines: Engines, engine: LocalEngine) -> None:
    # As many as one owner may run at a time, so that the next one has to wait until one of them ends.
    busy = [engine.stream(_ENDLESS, CallContext("me")) for _ in range(MAX_ACTIVE_EACH)]
    _until(lambda: engine.busy)
    job = _start(engines, Request(prompt="a", max_tokens=1), owner="me")
    _until(lambda: job.note == "Waiting for the model")
    job.cancel()
    assert job.wait(_WAIT)
    _is_not_started(job)
    for stream in busy:
        stream.close()


def test_cancelled_while_the_model_loads(engine: LocalEngine) -> None:
    loading = threading.Event()

    def open_engine(_: Source) -> LocalEngine:
        assert loading.wait(_WAIT)
        return engine

    job = _start(Engines(open_engine), _ENDLESS)
    _until(lambda: job.note == "Loading the model")
    job.cancel()
    loading.set()
    assert job.wait(_WAIT)
    _is_not_started(job)


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    engines = Engines(lambda source: open_local(source.name))
    job = start(engines, Call(LocalModel(str(tmp_path)), Request(prompt="a")))
    assert job.wait(_WAIT)
    failed = error(job.result)
    assert isinstance(failed, ModelUnavailable)
    assert str(tmp_path) in failed.cause


def test_a_request_that_cannot_be_answered(engines: Engines) -> None:
    job = _start(engines, Request(prompt="a" * 100_001))
    assert job.wait(_WAIT)
    assert isinstance(error(job.result), InvalidRequest)
    assert answer(job.result) is None


def test_an_engine_that_was_just_closed_is_reopened(directory: Path) -> None:
    opened: list[LocalEngine] = []

    def open_engine(_: Source) -> LocalEngine:
        opened.append(LocalEngine(load(str(directory)), budget=10**9))
        return opened[-1]

    engines = Engines(open_engine, most=1)
    found = engines.get

    def get(source: Source) -> Engine:
        """The first time, close the engine after it is found and before it gets the request."""
        engine = found(source)
        if len(opened) == 1:
            found(LocalModel("another"))
        return engine

    engines.get = get  # type: ignore[method-assign]
    job = _start(engines, Request(prompt="a", max_tokens=3))
    assert job.wait(_WAIT)
    assert _text(job) == "bab"
    assert len(opened) == 3
    opened[-1].close()


def test_an_engine_that_stays_closed_is_an_error(engine: LocalEngine, engines: Engines) -> None:
    engine.close()
    job = _start(engines, Request(prompt="a", max_tokens=3))
    assert job.wait(_WAIT)
    assert isinstance(error(job.result), Cancelled)


def test_closing_the_engine_midway_leaves_an_incomplete_answer(engines: Engines, engine: LocalEngine) -> None:
    job = _start(engines, _ENDLESS)
    _until(lambda: len(_text(job)) > 5)
    engine.close()
    assert job.wait(_WAIT)
    done = answer(job.result)
    assert done is not None
    assert done.stop_reason == "incomplete"
    assert len(done.text) > 5


def test_an_unexpected_error_frees_the_slot(
    engines: Engines, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    job = job_for(engines, Call(LocalModel("model"), _ENDLESS))
    monkeypatch.setattr(job, "publish", lambda *_, **options: fail() if options.get("note") == "Generating" else None)
    job.run()
    assert job.error is not None
    _until(lambda: not engine.busy)
