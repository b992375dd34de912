"""The URL in CANDOR_STORE, as hosting services, other clients and settings files write it."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from lib.errors import InvalidRequest
from lib.paths import data_directory

_POSTGRESQL = re.compile(
    r"\A(?:psql\s+|\w+=)?[\"']?(?:jdbc:)?(?:postgres|postgresql|pgsql)(?:\+\w+)?:(?=//)", re.IGNORECASE
)
_SQLITE = re.compile(r"\A(?:\w+=)?[\"']?sqlite3?(?:\+(?:pysqlite|aiosqlite))?:(?=//)", re.IGNORECASE)
# Options of other clients that need nothing here: Candor does what they ask for anyway.
_OF_OTHERS = frozenset({"pgbouncer", "connection_limit", "pool_timeout", "prepare_threshold", "preparethreshold"})
_REMEDY = "Write it as postgresql://user@host/database or sqlite:///path, with four slashes before an absolute path."


def parse_url(url: str) -> URL:
    """The URL of a database, "" for the SQLite file in the data directory. Raises InvalidRequest.

    A URL may contain a password, so no error quotes it.
    """
    url = url.strip().strip("\"'`").strip()
    if not url:
        return URL.create("sqlite", database=str(data_directory() / "runs.sqlite"))
    spelled = _SQLITE.sub("sqlite:", _POSTGRESQL.sub("postgresql+psycopg:", url, count=1), count=1)
    try:
        parsed = make_url(spelled)
    except (ArgumentError, ValueError) as error:  # ValueError: the port is not a number
        raise InvalidRequest("CANDOR_STORE is not a database URL.", _REMEDY) from error
    kind = parsed.get_backend_name()
    if parsed.drivername == "postgresql+psycopg":
        return _with_known_options(parsed)
    if parsed.drivername != "sqlite":
        raise InvalidRequest(
            f"Candor cannot save runs in {parsed.drivername if kind == 'sqlite' else kind}.",
            "Name a PostgreSQL database or a SQLite file.",
        )
    if parsed.host or parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:"):
        raise InvalidRequest("CANDOR_STORE does not name a SQLite file.", _REMEDY)
    return parsed.set(database=str(Path(str(parsed.database)).expanduser()))


def _with_known_options(url: URL) -> URL:
    """The URL without options of other clients. Raises InvalidRequest for one that PostgreSQL does not have."""
    from psycopg.pq import Conninfo  # takes a while, and SQLite has no need of it

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    others = [name for name in url.query if name not in known]
    if unknown := [name for name in others if name.lower() not in _OF_OTHERS]:
        raise InvalidRequest(
            f"PostgreSQL has no connection option “{unknown[0]}”, which CANDOR_STORE sets.",
            "Remove it from the URL. A schema is chosen with options=-csearch_path%3DNAME.",
        )
    return url.difference_update_query(others)
