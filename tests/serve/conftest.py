"""A local Bedrock on a tiny model, and boto3 clients that are pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.engines import open_local
from lib.local.engine import LocalEngine
from lib.serve.app import Service
from lib.serve.server import in_thread
from tests.local import tiny
from tests.serve.clients import Served, service_of


@pytest.fixture(scope="session")
def tiny_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with a chat template; what it writes is noise, and often no UTF-8."""
    directory = tiny.make_random(tmp_path_factory.mktemp("serve") / "tiny", "llama")
    tiny.make_tokenizer(chat=tiny.CHAT).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_engine(tiny_directory: Path) -> Iterator[LocalEngine]:
    engine = open_local(str(tiny_directory))
    yield engine
    engine.close()


@pytest.fixture
def service(tiny_directory: Path, tiny_engine: LocalEngine) -> Service:
    """One model of each generation: legacy, early, current."""
    return service_of(tiny_directory, tiny_engine)


@pytest.fixture
def served(service: Service) -> Iterator[Served]:
    with in_thread(service) as url:
        yield Served(service, url)
