"""Runs as rows of the database, and rows as runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from lib.store.run import EARLIEST, LATEST, MAX_MODEL, STORED_STATES, Known, Run, RunState, error_as_json
from lib.store.schema import RUNS, TAGS

_BATCH = 500  # runs per statement
_TEXTS = (
    *("id", "page", "model", "source", "owner", "title", "excerpt", "note", "parent", "version", "digest"),
    *("model_fingerprint", "tokenizer_fingerprint"),
)
_NUMBERS = ("created", "touched", "tokens", "bytes", "text_bytes")
_COLUMNS = (*_TEXTS, *_NUMBERS, "seconds")  # stored as they are
_SETTLED = (  # columns that the end of a run sets
    *("title", "excerpt", "parent", "source", "seconds", "tokens", "digest"),
    *("model_fingerprint", "tokenizer_fingerprint"),
)
_LARGEST = 1 << 62  # a larger number is damage


def batches(values: Iterable[Any]) -> Iterable[list[Any]]:
    """The values in lists short enough for one statement."""
    listed = list(values)
    return (listed[start : start + _BATCH] for start in range(0, len(listed), _BATCH))


def runs_of(connection: Connection, rows: Sequence[Row[Any]]) -> list[Run]:
    """Rows of RUNS as runs, with their tags."""
    tags: dict[int, list[str]] = {}
    for numbers in batches(row.number for row in rows):
        for each in connection.execute(select(TAGS).where(TAGS.c.run.in_(numbers)).order_by(TAGS.c.tag)):
            tags.setdefault(each.run, []).append(each.tag)
    return [_run(row, tuple(tags.get(row.number, ()))) for row in rows]


def _run(row: Row[Any], tags: tuple[str, ...]) -> Run:
    """A row as a run. Values of the wrong type are replaced, and the state of the run is then DAMAGED."""
    values, intact = _plain_values(row)
    details, error = _parsed(row.details, dict), _parsed(row.error or "null", list)
    if not isinstance(details, dict) or not (error is None or (len(error) == 2 and row.error)):
        intact, details, error = False, details if isinstance(details, dict) else {}, None
    return Run(
        **values,
        state=RunState(row.state) if intact and row.state in STORED_STATES else RunState.DAMAGED,
        shared=row.shared == 1,
        tags=tags,
        details=details,
        error=None if error is None else (str(error[0]), str(error[1])),
    )


def _plain_values(row: Row[Any]) -> tuple[dict[str, Any], bool]:
    """The plain columns of a row, and whether all of them have their type."""
    values: dict[str, Any] = {}
    intact = True
    for name in _TEXTS:
        value = getattr(row, name)
        values[name] = value if type(value) is str else "" if value is None else str(value)
        intact = intact and type(value) is str
    for name in _NUMBERS:
        value = getattr(row, name)
        fits = type(value) is int and abs(value) < _LARGEST
        values[name] = value if fits else 0
        intact = intact and fits
    seconds = row.seconds
    fits = seconds is None or (type(seconds) in (int, float) and abs(seconds) < _LARGEST)
    values["seconds"] = seconds if fits else 0.0
    if not EARLIEST <= values["created"] <= LATEST:
        fits, values["created"] = False, EARLIEST
    return values, intact and fits


def _parsed(text: Any, kind: type) -> Any:
    """The JSON value if it is of this type or null, else the text itself."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return text
    return found if found is None or isinstance(found, kind) else text


def settled_values(run: Run) -> dict[str, Any]:
    """The columns that the end of a run sets."""
    return {name: getattr(run, name) for name in _SETTLED} | {
        "state": run.state.value,
        "model": run.model[:MAX_MODEL],
        "error": error_as_json(run.error),
        "details": json.dumps(run.details, separators=(",", ":")),
    }


def insert_run(connection: Connection, run: Run) -> int:
    """Insert a run without searchable text; returns its number."""
    values = {name: getattr(run, name) for name in _COLUMNS} | settled_values(run)
    values |= {"shared": int(run.shared), "text_bytes": 0}
    number = connection.execute(insert(RUNS).values(**values).returning(RUNS.c.number)).scalar_one()
    _insert_tags(connection, number, run.tags)
    return int(number)


def set_tags(connection: Connection, number: int, tags: Iterable[str]) -> None:
    """Replace the tags of a run."""
    connection.execute(delete(TAGS).where(TAGS.c.run == number))
    _insert_tags(connection, number, tags)


def _insert_tags(connection: Connection, number: int, tags: Iterable[str]) -> None:
    rows = [{"run": number, "tag": tag} for tag in sorted(set(tags))]
    if rows:
        connection.execute(insert(TAGS), rows)


def known(connection: Connection, run_id: str) -> Known | None:
    """What identifies a run, including one that is removed but not yet erased; None if there is none."""
    columns = (RUNS.c.owner, RUNS.c.shared, RUNS.c.digest, RUNS.c.removed)
    row = connection.execute(select(*columns).where(RUNS.c.id == run_id)).one_or_none()
    return None if row is None else Known(str(row.owner), bool(row.shared), str(row.digest), row.removed is not None)


def number_of(connection: Connection, run_id: str) -> int | None:
    """The number of a run; None if there is none."""
    return connection.execute(select(RUNS.c.number).where(RUNS.c.id == run_id)).scalar()


def visible_row(connection: Connection, run_id: str) -> Any:
    """The row of a run that is not removed; None if there is none."""
    return connection.execute(select(RUNS).where(RUNS.c.id == run_id, RUNS.c.removed.is_(None))).one_or_none()
