"""Models for the tests of the local engine. A test that uses the embedded model is marked `model` by that alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import LoadedModel, load
from tests.support import tiny

_BUDGET = 2_000_000_000


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
    """The directory of a random model of an architecture; each is made once."""
    made: dict[str, Path] = {}

    def make(architecture: str) -> Path:
        if architecture not in made:
            made[architecture] = tiny.make_random(tmp_path_factory.mktemp("random") / architecture, architecture)
        return made[architecture]

    return make


@pytest.fixture(scope="session")
def random_engine(random_model: Callable[[str], Path]) -> Iterator[Callable[[str], LocalEngine]]:
    """The engine of a random model of an architecture; each is opened once."""
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
    """Opens the engine of a model with the given transition logits (`tiny.make_markov`)."""
    opened: list[LocalEngine] = []

    def engine(logits: np.ndarray, **options: Any) -> LocalEngine:
        directory = tiny.make_markov(tmp_path / f"markov{len(opened)}", logits, **options)
        opened.append(LocalEngine(load(str(directory)), budget=_BUDGET))
        return opened[-1]

    yield engine
    for each in opened:
        each.close()
