"""A local Bedrock on a tiny model, and boto3 clients that are pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lib.engines import open_local
from lib.local.engine import LocalEngine
from lib.serve.server import in_thread
from lib.serve.switches import Switches
from tests.local import tiny
from tests.serve.clients import Served, service_of, until


@pytest.fixture(scope="session")
def tiny_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with a chat template; what it writes is noise, and often no UTF-8."""
    directory = tiny.make_random(tmp_path_factory.mktemp("serve") / "tiny", "llama")
    tiny.make_tokenizer(chat=tiny.CHAT).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_engine(tiny_directory: Path) -> Iterator[LocalEngine]:
    engine = open_local(str(tiny_directory))
    # Its answers never end by themselves: they are as long as was asked for.
    object.__setattr__(engine.loaded, "eos_ids", frozenset())
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def _served(tiny_directory: Path, tiny_engine: LocalEngine) -> Iterator[Served]:
    service = service_of(tiny_directory, tiny_engine)
    with in_thread(service) as url, closing(Served(service, url)) as made:
        yield made


@pytest.fixture
def served(_served: Served, tiny_engine: LocalEngine) -> Served:
    """One model of each generation: legacy, early, current. No fault is in force, no switch is set.

    The engine is idle: answers that are written together with others differ in their last digits.
    """
    assert until(lambda: not tiny_engine.busy)
    _served.service.faults.set([])
    _served.service.switches = Switches()
    return _served
