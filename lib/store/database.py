"""The database behind the store: a SQLite file of the user's own, or a PostgreSQL by URL."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)

from lib.errors import CandorError, InvalidRequest
from lib.paths import data_directory
from lib.store.migrations import migrate

_CONNECTING = 5  # seconds
_PATIENCE = 30  # seconds to wait for another process that writes
_WRITES = "candor_writes"
_OWN_FAULT = (DataError, IntegrityError, ProgrammingError, NotSupportedError, UnicodeError)


class StoreUnavailable(CandorError):
    """The store cannot be read or written now: a full disk, a database that is gone, a file without rights.

    `detail` has the database's own words, which may name its host, its user and paths.
    """


class StoreRefused(StoreUnavailable):
    """The database refuses what it is asked, and would refuse it again."""


class Database:
    """Short transactions on one of the two kinds of database. May be used from any thread; processes share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.kind = engine.dialect.name  # "sqlite" or "postgresql"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of everything, whatever others write. Raises StoreUnavailable."""
        engine = self._engine
        if self.kind == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with _explained(), engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is written as a whole or not at all. Raises StoreUnavailable."""
        with (
            _explained(),
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def outside(self) -> Iterator[Connection]:
        """A connection without a transaction, for what databases do to themselves. Raises StoreUnavailable."""
        with _explained(), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    def close(self) -> None:
        """Let all connections go."""
        self._engine.dispose()


def open_database(url: str = "") -> Database:
    """The database at a URL, "" for the SQLite file in the user's data directory; brought to the present schema.

    Raises StoreUnavailable when it cannot be opened or is of a newer Candor, InvalidRequest for a URL that is none.
    """
    parsed = _parsed(url)
    with _explained():
        engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed)
        database = Database(engine)
    try:
        with database.writing() as connection:
            migrate(connection)
    except BaseException:
        database.close()
        raise
    return database


def _parsed(url: str) -> URL:
    if not url:
        return URL.create("sqlite", database=str(data_directory() / "runs.sqlite"))
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidRequest(
            "The address of the database is none.", "Write it as postgresql://user@host/database or sqlite:///path."
        ) from error
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise InvalidRequest(
        f"Runs cannot be kept in {parsed.get_backend_name()}.", "Name a PostgreSQL database or a SQLite file."
    )


def _postgresql(url: URL) -> Engine:
    return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECTING})


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made by hand, as SQLite would let others read it; the log beside it takes its rights from it.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_engine(url, connect_args={"timeout": _PATIENCE})
    event.listen(engine, "connect", _prepared)
    event.listen(engine, "begin", _begun)
    return engine


def _prepared(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # Python's module would begin transactions of its own
    connection.text_factory = _as_text
    cursor = connection.cursor()
    _log_ahead(cursor)
    for setting in (
        "synchronous = NORMAL",  # what was written outlives this process; a power cut may cost the last moment
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _as_text(data: bytes) -> str:
    """What SQLite has as text, which may be any bytes."""
    return data.decode("utf-8", "replace")


def _log_ahead(cursor: Any) -> None:
    """Switch a new file to the write-ahead log. Of several that do so at once, SQLite has all but one fail at once."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.02)


def _begun(connection: Connection) -> None:
    # One that is going to write says so at once: two that read first and write then would have to give up.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _explained() -> Iterator[None]:
    """Errors of the database as StoreUnavailable."""
    try:
        yield
    except (SQLAlchemyError, OSError, UnicodeError) as error:
        lines = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
        kind = StoreRefused if isinstance(error, _OWN_FAULT) else StoreUnavailable
        raise kind(
            "Runs cannot be saved or read at the moment.",
            "Results stay on the page and can be downloaded. Check the disk or the database; Candor tries again.",
        ).with_detail(lines[0] if lines else type(error).__name__) from error
