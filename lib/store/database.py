"""The database behind the store: the user's own SQLite file, or PostgreSQL by URL."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)

from lib.errors import CandorError
from lib.store.database_url import parse_url
from lib.store.journal import file_system, is_unfit, mounted, settle_journal
from lib.store.migrations import migrate

_CONNECTING = 5  # seconds
_PATIENCE = 30.0  # seconds to wait for another process that writes, or for a free connection
_WRITES = "candor_writes"  # execution option of a transaction that is going to write
# Errors of a statement or its values: the next try would fail, too.
_OWN_FAULT = (DataError, IntegrityError, ProgrammingError, NotSupportedError, UnicodeError)
_TOO_MUCH = "54"  # PostgreSQL's class of errors for what exceeds one of its limits
_ELSEWHERE = "Set CANDOR_DATA to a directory on a local disk, or CANDOR_STORE to a PostgreSQL database."
_creating = threading.Lock()


class StoreUnavailable(CandorError):
    """The store cannot be read or written now: the disk is full, the database is down, or permissions are missing.

    `detail` is the database's own message, which may name its host, its user and paths.
    """


class StoreRefused(StoreUnavailable):
    """The database refuses this statement or its values, and would refuse them again."""


class Database:
    """Short transactions on SQLite or PostgreSQL. Thread-safe, and shared by processes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.kind = engine.dialect.name  # "sqlite" or "postgresql"
        self._file = Path(str(engine.url.database)) if self.kind == "sqlite" else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one snapshot, whatever others write. Raises StoreUnavailable."""
        engine = self.engine
        if self.kind == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with _explained(self._file), engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed completely or not at all. Raises StoreUnavailable."""
        with (
            _explained(self._file),
            self.engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def outside(self) -> Iterator[Connection]:
        """A connection without a transaction, for maintenance. Raises StoreUnavailable."""
        with (
            _explained(self._file),
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(url: str = "", *, patience: float = _PATIENCE) -> Database:
    """Open a database and migrate it to the current schema.

    url: "" for the SQLite file in the user's data directory. patience: seconds to wait for another process that writes,
    or for a free connection.

    Raises StoreUnavailable if it cannot be opened, BadFile if a newer Candor wrote it, InvalidRequest for an invalid
    URL.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        with _explained(Path(str(parsed.database))):
            database = Database(_sqlite(parsed, patience))
    else:
        with _explained():
            database = Database(_postgresql(parsed, patience))
    try:
        with database.writing() as connection:
            migrate(connection)
    except BaseException:
        database.close()
        raise
    return database


def _postgresql(url: URL, patience: float) -> Engine:
    # No prepared statements: behind a pooler such as PgBouncer the next transaction may use another connection.
    options = {"connect_timeout": _CONNECTING, "prepare_threshold": None}
    return create_engine(url, pool_pre_ping=True, pool_timeout=patience, connect_args=options)


def _sqlite(url: URL, patience: float) -> Engine:
    path = Path(str(url.database))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite would create a file that others can read; the log beside it inherits the permissions. An existing file is
    # not opened: closing it would release all locks that this process has on it.
    with _creating, suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    settle_journal(path, file_system(path, mounted()), patience)
    engine = create_engine(url, pool_timeout=patience, connect_args={"timeout": patience})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # keeps Python's module from beginning transactions
    connection.text_factory = _as_text
    cursor = connection.cursor()
    (journal,) = cursor.execute("PRAGMA journal_mode").fetchone()
    # With the log, a power cut may lose the last transactions; with a rollback journal it might corrupt the file.
    synchronous = "NORMAL" if journal == "wal" else "FULL"
    for setting in (f"synchronous = {synchronous}", "foreign_keys = ON", "secure_delete = ON"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _as_text(data: bytes) -> str:
    """Text from SQLite, which may contain any bytes."""
    return data.decode("utf-8", "replace")


def _begin(connection: Connection) -> None:
    # Take the write lock first: of two transactions that read and then write, one would fail.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _explained(file: Path | None = None) -> Iterator[None]:
    """Raise errors of the database as StoreUnavailable. file: of SQLite."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, UnicodeError) as error:
        orig = error.orig if isinstance(error, DBAPIError) else error
        lines = str(orig).strip().splitlines()
        detail = lines[0] if lines else type(error).__name__
        if file is not None and is_unfit(orig):
            kind = file_system(file, mounted())
            raise StoreUnavailable(
                f"Runs cannot be saved: the file system{f' ({kind})' if kind else ''} fails to lock or write the file.",
                _ELSEWHERE,
            ).with_detail(detail) from error
        own = isinstance(error, _OWN_FAULT) or str(getattr(orig, "sqlstate", None)).startswith(_TOO_MUCH)
        raise (StoreRefused if own else StoreUnavailable)(
            "Runs cannot be saved or read at the moment.",
            "Results stay on the page and can be downloaded. Check the disk or the database; Candor tries again.",
        ).with_detail(detail) from error
