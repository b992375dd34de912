"""Fixtures with small local models. A test that uses the embedded model is marked `model` automatically."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.stream import fold
from lib.engines.base import CallContext
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import LoadedModel, load
from tests.support import tiny

_BUDGET = 2_000_000_000


@contextmanager
def passes_of(loaded: LoadedModel) -> Iterator[list[int]]:
    """Collects the number of tokens per sample that every pass through the model's body reads."""
    lengths: list[int] = []

    def note(_: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        ids = args[0] if args else options["input_ids"]
        lengths.append(ids.shape[1])

    handle = loaded.model.get_decoder().register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield lengths
    finally:
        handle.remove()


def answered_together(engine: LocalEngine, requests: Sequence[Request], *, owners: int) -> Iterator[Completion]:
    """The completions of requests that are asked all at once, by so many owners in turn."""
    streams = [engine.stream(request, CallContext(str(place % owners))) for place, request in enumerate(requests)]
    for stream in streams:
        yield from fold(stream)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"embedded", "embedded_engine"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("model")


@pytest.fixture(scope="session")
def _quiet_transformers() -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


@pytest.fixture(scope="session")
def embedded(_quiet_transformers: None) -> LoadedModel:
    return load("embedded")


@pytest.fixture(scope="session")
def embedded_engine(embedded: LoadedModel) -> Iterator[LocalEngine]:
    engine = LocalEngine(embedded, budget=_BUDGET)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def random_model(_quiet_transformers: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns the directory of a random model of an architecture, made once per session."""
    made: dict[str, Path] = {}

    def make(architecture: str) -> Path:
        if architecture not in made:
            made[architecture] = tiny.make_random(tmp_path_factory.mktemp("random") / architecture, architecture)
        return made[architecture]

    return make


@pytest.fixture(scope="session")
def random_engine(random_model: Callable[[str], Path]) -> Iterator[Callable[[str], LocalEngine]]:
    """Returns the engine of a random model of an architecture, opened once per session."""
    opened: dict[str, LocalEngine] = {}

    def engine(architecture: str) -> LocalEngine:
        if architecture not in opened:
            opened[architecture] = LocalEngine(load(str(random_model(architecture))), budget=_BUDGET)
        return opened[architecture]

    yield engine
    for each in opened.values():
        each.close()


@pytest.fixture
def markov(_quiet_transformers: None, tmp_path: Path) -> Iterator[Callable[..., LocalEngine]]:
    """Opens engines of models with the given transition logits (`tiny.make_markov`)."""
    opened: list[LocalEngine] = []

    def engine(logits: np.ndarray, **options: Any) -> LocalEngine:
        directory = tiny.make_markov(tmp_path / f"markov{len(opened)}", logits, **options)
        opened.append(LocalEngine(load(str(directory)), budget=_BUDGET))
        return opened[-1]

    yield engine
    for each in opened:
        each.close()
