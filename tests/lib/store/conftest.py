"""Stores for the tests, one on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from lib.store.database import Database, open_database
from lib.store.runs import Runs
from tests.support.postgres import MISSING, postgres, schema


@pytest.fixture(scope="session")
def server() -> Iterator[URL | None]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of either kind."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield f"sqlite:///{tmp_path}/runs.sqlite"
            return
        server: URL | None = request.getfixturevalue("server")
        if server is None:
            pytest.skip(MISSING)
        yield stack.enter_context(schema(server))


@pytest.fixture
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """The URLs of two empty databases, one of either kind; of the first alone where there is no PostgreSQL."""
    server: URL | None = request.getfixturevalue("server")
    with ExitStack() as stack:
        others = [] if server is None else [stack.enter_context(schema(server))]
        yield [f"sqlite:///{tmp_path}/runs.sqlite", *others]


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def runs(database: Database) -> Runs:
    return Runs(database)
