"""The engines of a process: loaded once, and closed when others need the memory."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.core.request import Request
from lib.core.sources import LocalModel, Source
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.engines.local.opening import open_local
from lib.errors import Busy, Cancelled, CandorError, ModelUnavailable
from lib.jobs.engine_pool import Engines
from tests.support import tiny
from tests.support.scripted_engine import ScriptedEngine

ModelOf = Callable[[str], Path]


class Opener:
    """Opens fake engines slowly and counts them. Sources that begin with "bad" fail."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.opened: list[ScriptedEngine] = []
        self._seconds = seconds

    def __call__(self, source: Source) -> ScriptedEngine:
        time.sleep(self._seconds)
        self.opened.append(ScriptedEngine(name=source.name))
        if source.name == "bad":
            raise ModelUnavailable("It is not there.", "Look elsewhere.")
        if source.name == "bad inside":
            raise ZeroDivisionError("oops")
        return self.opened[-1]


def _engines(opener: Opener, most: int = 2) -> Engines:
    return Engines(opener, most=most)


def test_concurrent_callers_share_one_engine() -> None:
    opener = Opener(0.2)
    engines = _engines(opener)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(engines.get(LocalModel("a")))) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert not engines.ready(LocalModel("a"))
    for thread in threads:
        thread.join(20)
    assert found == [opener.opened[0]] * 20
    assert len(opener.opened) == 1
    assert engines.ready(LocalModel("a"))
    assert not engines.ready(LocalModel("b"))


def test_two_models_load_concurrently() -> None:
    opener = Opener(0.3)
    engines = _engines(opener)
    began = time.monotonic()
    threads = [threading.Thread(target=engines.get, args=(LocalModel(name),)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - began < 5
    assert {engine.name for engine in opener.opened} == {"a", "b"}


def test_an_error_reaches_every_caller_and_is_not_cached() -> None:
    opener = Opener(0.2)
    engines = _engines(opener)
    errors: list[CandorError] = []

    def ask() -> None:
        try:
            engines.get(LocalModel("bad"))
        except ModelUnavailable as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [error.cause for error in errors] == ["It is not there."] * 5
    assert len(opener.opened) == 1
    assert not engines.ready(LocalModel("bad"))
    ask()
    assert len(opener.opened) == 2


def test_an_unexpected_error_has_a_cause_and_a_remedy() -> None:
    with pytest.raises(CandorError, match="ZeroDivisionError") as raised:
        _engines(Opener()).get(LocalModel("bad inside"))
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert "log" in raised.value.remedy


def test_the_least_recently_used_engine_is_closed() -> None:
    opener = Opener()
    engines = _engines(opener)
    for name in "aba":
        engines.get(LocalModel(name))
    engines.get(LocalModel("c"))
    assert [(engine.name, engine.closed) for engine in opener.opened] == [("a", False), ("b", True), ("c", False)]
    assert not engines.ready(LocalModel("b"))
    engines.get(LocalModel("b"))
    assert next((engine.name, engine.closed) for engine in opener.opened) == ("a", True)


def test_a_busy_engine_is_not_closed() -> None:
    opener = Opener()
    engines = _engines(opener)
    engines.get(LocalModel("a"))
    engines.get(LocalModel("b"))
    opener.opened[0].busy = True
    engines.get(LocalModel("c"))
    assert (opener.opened[0].closed, opener.opened[1].closed) == (False, True)
    opener.opened[2].busy = True
    with pytest.raises(Busy, match="2 models"):
        engines.get(LocalModel("d"))
    assert len(opener.opened) == 3
    opener.opened[0].busy = False
    assert engines.get(LocalModel("d")).name == "d"
    assert opener.opened[0].closed


def test_failures_do_not_count_against_the_limit() -> None:
    opener = Opener()
    engines = _engines(opener, most=1)
    for _ in range(3):
        with pytest.raises(ModelUnavailable):
            engines.get(LocalModel("bad"))
    good = engines.get(LocalModel("good"))
    assert engines.get(LocalModel("good")) is good


def test_a_closed_model_frees_its_memory(random_model: ModelOf) -> None:
    """Models are full of reference cycles, and loading hides them from the garbage collector."""
    engines = Engines(lambda source: open_local(source.name), most=1)
    engine = engines.get(LocalModel(str(random_model("llama"))))
    engine.complete(Request(prompt="hello", max_tokens=3, n=3))
    gone = weakref.ref(engine.loaded.model)
    del engine
    try:
        assert gone() is not None
        engines.get(LocalModel(str(random_model("gpt2"))))
        gc.collect()
        assert gone() is None
    finally:
        gc.unfreeze()


def test_memory_is_freed_before_the_next_model_loads(random_model: ModelOf) -> None:
    there: list[bool] = []
    models: list[weakref.ref[object]] = []

    def open_engine(source: Source) -> LocalEngine:
        there.extend(model() is not None for model in models)
        engine = open_local(source.name)
        models.append(weakref.ref(engine.loaded.model))
        return engine

    engines = Engines(open_engine, most=1)
    try:
        for architecture in ("llama", "gpt2"):
            engines.get(LocalModel(str(random_model(architecture))))
        assert there == [False]
    finally:
        gc.unfreeze()


def test_a_closed_engine_ends_its_requests_and_accepts_no_more(tmp_path: Path) -> None:
    directory = tiny.make_markov(tmp_path / "m", tiny.chain("ab", follow={ord("b"): ord("a")}), context=100_000)
    engine = LocalEngine(load(str(directory)), budget=10**9)
    stream = engine.stream(Request(prompt="a", max_tokens=90_000))
    next(stream)
    assert engine.busy
    engine.close()
    assert not engine.busy
    with pytest.raises(Cancelled):
        for _ in stream:
            pass
    with pytest.raises(Cancelled, match="unloaded"):
        engine.complete(Request(prompt="a", max_tokens=1))
