"""The database behind the store: a SQLite file of the user's own, or a PostgreSQL by URL."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from psycopg.pq import Conninfo
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
from lib.store.journal import file_system, is_unfit, mounted, settle_journal
from lib.store.migrations import migrate

_CONNECTING = 5  # seconds
_PATIENCE = 30  # seconds to wait for another process that writes
_WRITES = "candor_writes"
_OWN_FAULT = (DataError, IntegrityError, ProgrammingError, NotSupportedError, UnicodeError)
_TOO_MUCH = "54"  # the class of PostgreSQL's errors for what exceeds one of its limits
_POSTGRESQL = re.compile(
    r"\A(?:psql\s+|\w+=)?[\"']?(?:jdbc:)?(?:postgres|postgresql|pgsql)(?:\+\w+)?:(?=//)", re.IGNORECASE
)
_SQLITE = re.compile(r"\A(?:\w+=)?[\"']?sqlite3?(?:\+(?:pysqlite|aiosqlite))?:(?=//)", re.IGNORECASE)
# Options that other clients read from an address and that ask for what holds here anyway.
_OF_OTHERS = frozenset({"pgbouncer", "connection_limit", "pool_timeout", "prepare_threshold", "preparethreshold"})
_ADDRESS = "Write it as postgresql://user@host/database or sqlite:///path, with four slashes before an absolute path."
_ELSEWHERE = "Set CANDOR_DATA to a directory on a local disk, or CANDOR_STORE to a PostgreSQL database."
_making = threading.Lock()


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
        self._file = Path(str(engine.url.database)) if self.kind == "sqlite" else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of everything, whatever others write. Raises StoreUnavailable."""
        engine = self._engine
        if self.kind == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with _explained(self._file), engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is written as a whole or not at all. Raises StoreUnavailable."""
        with (
            _explained(self._file),
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def outside(self) -> Iterator[Connection]:
        """A connection without a transaction, for what databases do to themselves. Raises StoreUnavailable."""
        with (
            _explained(self._file),
            self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            yield connection

    def close(self) -> None:
        """Let all connections go."""
        self._engine.dispose()


def open_database(url: str = "") -> Database:
    """The database at a URL, "" for the SQLite file in the user's data directory; brought to the present schema.

    Raises StoreUnavailable when it cannot be opened or is of a newer Candor, InvalidRequest for a URL that is none.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        with _explained(Path(str(parsed.database))):
            database = Database(_sqlite(parsed))
    else:
        with _explained():
            database = Database(_postgresql(parsed))
    try:
        with database.writing() as connection:
            migrate(connection)
    except BaseException:
        database.close()
        raise
    return database


def _parsed(url: str) -> URL:
    """A URL as hosting services, other clients and settings files spell it. It may hold a password: no error has it."""
    url = url.strip().strip("\"'`").strip()
    if not url:
        return URL.create("sqlite", database=str(data_directory() / "runs.sqlite"))
    spelled = _SQLITE.sub("sqlite:", _POSTGRESQL.sub("postgresql+psycopg:", url, count=1), count=1)
    try:
        parsed = make_url(spelled)
    except (ArgumentError, ValueError) as error:  # the latter for a port that is no number
        raise InvalidRequest("CANDOR_STORE is not the address of a database.", _ADDRESS) from error
    kind = parsed.get_backend_name()
    if parsed.drivername == "postgresql+psycopg":
        return _with_known_options(parsed)
    if parsed.drivername != "sqlite":
        raise InvalidRequest(
            f"Candor cannot save runs in {parsed.drivername if kind == 'sqlite' else kind}.",
            "Name a PostgreSQL database or a SQLite file.",
        )
    if parsed.host or parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:"):
        raise InvalidRequest("CANDOR_STORE does not name a file for SQLite.", _ADDRESS)
    return parsed.set(database=str(Path(str(parsed.database)).expanduser()))


def _with_known_options(url: URL) -> URL:
    """Without the options for other clients. Raises InvalidRequest for one that PostgreSQL does not have."""
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    others = [name for name in url.query if name not in known]
    if unknown := [name for name in others if name.lower() not in _OF_OTHERS]:
        raise InvalidRequest(
            f"PostgreSQL has no connection option “{unknown[0]}”, which CANDOR_STORE sets.",
            "Remove it from the address. A schema is chosen with options=-csearch_path%3DNAME.",
        )
    return url.difference_update_query(others)


def _postgresql(url: URL) -> Engine:
    # Behind a pooler such as PgBouncer the next transaction may be on another connection, without the statements that
    # were prepared on this one.
    return create_engine(
        url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECTING, "prepare_threshold": None}
    )


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made by hand, as SQLite would let others read it; the log beside it takes its rights from it. Closing a file ends
    # all locks that this process has on it, so this is done to no file that may be in use.
    with _making, suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    settle_journal(path, file_system(path, mounted()), _PATIENCE)
    engine = create_engine(url, connect_args={"timeout": _PATIENCE})
    event.listen(engine, "connect", _prepared)
    event.listen(engine, "begin", _begun)
    return engine


def _prepared(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # Python's module would begin transactions of its own
    connection.text_factory = _as_text
    cursor = connection.cursor()
    (journal,) = cursor.execute("PRAGMA journal_mode").fetchone()
    # With the log, a power cut may cost the last moment; with a rollback journal it might cost the file.
    synchronous = "NORMAL" if journal == "wal" else "FULL"
    for setting in (f"synchronous = {synchronous}", "foreign_keys = ON", "secure_delete = ON"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _as_text(data: bytes) -> str:
    """What SQLite has as text, which may be any bytes."""
    return data.decode("utf-8", "replace")


def _begun(connection: Connection) -> None:
    # One that is going to write says so at once: two that read first and write then would have to give up.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _explained(file: Path | None = None) -> Iterator[None]:
    """Errors of the database as StoreUnavailable. file: that of SQLite."""
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
