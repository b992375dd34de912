"""A local Bedrock on a tiny model, and boto3 clients that are pointed at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lib.core.sources import BedrockModel
from lib.costs.ledger import Caps, Ledger
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.local.engine import LocalEngine
from lib.engines.local.opening import open_local
from lib.serve.behaviours import Behaviours
from lib.serve.server import in_thread
from tests.support import tiny
from tests.support.serve_clients import HASTE, Served, service_of, until


@pytest.fixture(scope="session")
def tiny_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with a chat template. It generates noise, much of it not UTF-8."""
    directory = tiny.make_random(tmp_path_factory.mktemp("serve") / "tiny", "llama")
    tiny.make_tokenizer(chat=tiny.CHAT).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_engine(tiny_directory: Path) -> Iterator[LocalEngine]:
    engine = open_local(str(tiny_directory))
    # Without a stop token every answer has the requested length.
    object.__setattr__(engine.loaded, "eos_ids", frozenset())
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def _served(tiny_directory: Path, tiny_engine: LocalEngine) -> Iterator[Served]:
    service = service_of(tiny_directory, tiny_engine)
    with in_thread(service) as url, closing(Served(service, url)) as made:
        yield made


@dataclass(frozen=True)
class OpenAccount:
    """An account at a local Bedrock, with engines opened as the app opens them."""

    account: Account
    served: Served
    ledger: Ledger

    def model(self, name: str = "current", **fields: Any) -> BedrockModel:
        """A model by name."""
        return BedrockModel(self.served.arn(name), endpoint=self.served.url, **fields)

    def engine(self, name: str = "current", **fields: Any) -> BedrockEngine:
        """A model's engine."""
        return BedrockEngine(self.model(name, **fields), account=self.account, ledger=self.ledger, retry_policy=HASTE)

    def close(self) -> None:
        """Close the connections."""
        self.account.close()


@pytest.fixture
def open_account(nobody: None) -> Callable[..., OpenAccount]:
    """`open_account(served)`: an account that has looked nothing up yet, with made-up credentials."""
    return lambda served, **caps: OpenAccount(Account(), served, Ledger(Caps(**caps)))


@pytest.fixture
def served(_served: Served, tiny_engine: LocalEngine) -> Served:
    """A local Bedrock with one model of each generation: legacy, early, current. No faults, default switches.

    The engine is idle, because batched answers differ in their last digits.
    """
    assert until(lambda: not tiny_engine.busy)
    _served.service.faults.set([])
    _served.service.behaviours = Behaviours()
    return _served
