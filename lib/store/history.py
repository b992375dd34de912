"""The history: runs by what they say, what they are and when they were, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, text

from lib.errors import InvalidRequest
from lib.store.database import Database
from lib.store.runs import Run, runs_of
from lib.store.search import Sought, sought
from lib.store.tables import ANSWERS, PIECES, RUNS, TAGS, TEXTS

SORTS = {
    "newest": RUNS.c.number.desc(),
    "oldest": RUNS.c.number.asc(),
    "longest": RUNS.c.tokens.desc(),
    "title": func.lower(RUNS.c.title).asc(),
}
MOST_FOUND = 2_000  # runs that are found by text and sorted otherwise than by age
_NEARBY = 400  # pieces of text that are read before the index is asked: of what is common, a page is among them
_BATCH = 200  # pieces that the index names and that are read at once


@dataclass(frozen=True)
class Filter:
    """Which runs. "" and None: all of them.

    text: anywhere in title, prompt or answer, whatever the case. owner: whose; shared: and those that others share.
    since, until: microseconds since 1970, until excluded.
    """

    text: str = ""
    page: str = ""
    model: str = ""
    tag: str = ""
    owner: str | None = None
    shared: bool = False
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True)
class Listed:
    """Some runs, and where the next ones begin; None at the end."""

    runs: tuple[Run, ...]
    following: int | None


@dataclass(frozen=True)
class Sizes:
    """Bytes: answers in their packed form, texts for the search, its index (None where the database does not say)."""

    runs: int
    tokens: int
    answers: int
    texts: int
    index: int | None


def listed(database: Database, which: Filter, *, sort: str = "newest", start: int = 0, count: int = 25) -> Listed:
    """`count` of the runs that `which` means, from `start` on: 0, then what the page before says.

    Raises InvalidRequest for a text that cannot be looked for, StoreUnavailable.
    """
    if sort not in SORTS:
        raise InvalidRequest(f"Runs cannot be sorted by {sort}.", f"Choose one of {', '.join(SORTS)}.")
    wanted = sought(which.text)
    by_text = bool(wanted.text)
    with database.reading() as connection:
        if by_text and sort == "newest":
            rows = _rows(connection, _found(connection, which, wanted, start, count + 1))
            following = rows[count - 1].number if len(rows) > count else None
        else:
            query = select(RUNS).where(*_conditions(which))
            if by_text:
                query = query.where(RUNS.c.number.in_(_found(connection, which, wanted, 0, MOST_FOUND)))
            ordered = query.order_by(SORTS[sort], RUNS.c.number.desc()).offset(start).limit(count + 1)
            rows = connection.execute(ordered).all()
            following = start + count if len(rows) > count else None
        return Listed(tuple(runs_of(connection, rows[:count])), following)


def names(database: Database, owner: str | None = None) -> dict[str, list[str]]:
    """The pages, models and tags that there are."""
    mine = [RUNS.c.removed.is_(None)] + ([] if owner is None else [RUNS.c.owner == owner])
    with database.reading() as connection:
        found = {
            name: connection.execute(select(column).where(*mine).distinct().order_by(column)).scalars().all()
            for name, column in (("page", RUNS.c.page), ("model", RUNS.c.model))
        }
        tags = select(TAGS.c.tag).join(RUNS, RUNS.c.number == TAGS.c.run).where(*mine).distinct().order_by(TAGS.c.tag)
        return {name: list(values) for name, values in found.items()} | {
            "tag": list(connection.execute(tags).scalars())
        }


def sizes(database: Database) -> Sizes:
    """How much is kept."""
    with database.reading() as connection:
        runs, tokens = connection.execute(select(func.count(), func.coalesce(func.sum(RUNS.c.tokens), 0))).one()
        answers = connection.execute(select(func.coalesce(func.sum(func.length(ANSWERS.c.data)), 0))).scalar_one()
        texts = connection.execute(select(func.coalesce(func.sum(func.length(TEXTS.c.content)), 0))).scalar_one()
        return Sizes(int(runs), int(tokens), int(answers), int(texts), _index_size(connection))


def _index_size(connection: Connection) -> int | None:
    if connection.dialect.name == "postgresql":
        return int(connection.execute(text("SELECT pg_relation_size('texts_grams')")).scalar_one())
    # The index is one table of blocks; its virtual table adds next to nothing.
    found = connection.execute(text("SELECT sum(length(block)) FROM grams_data")).scalar()
    return int(found or 0)


def _conditions(which: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [RUNS.c.removed.is_(None)]
    if which.owner is not None:
        own = RUNS.c.owner == which.owner
        conditions.append(or_(own, RUNS.c.shared == 1) if which.shared else own)
    if which.page:
        conditions.append(RUNS.c.page == which.page)
    if which.model:
        conditions.append(RUNS.c.model == which.model)
    if which.tag:
        conditions.append(select(TAGS.c.run).where(TAGS.c.run == RUNS.c.number, TAGS.c.tag == which.tag).exists())
    if which.since is not None:
        conditions.append(RUNS.c.created >= which.since)
    if which.until is not None:
        conditions.append(RUNS.c.created < which.until)
    return conditions


def _rows(connection: Connection, numbers: Sequence[int]) -> Sequence[Any]:
    found = select(RUNS).where(RUNS.c.number.in_(numbers)).order_by(RUNS.c.number.desc())
    return connection.execute(found).all()


def _found(connection: Connection, which: Filter, wanted: Sought, before: int, count: int) -> list[int]:
    """The newest `count` runs with that text that were begun before run number `before` (0: all), newest first."""
    found: list[int] = []

    def read(rows: Sequence[Any]) -> None:
        for row in rows:
            if len(found) < count and (not found or found[-1] != row.run) and wanted.text in row.content:
                found.append(row.run)

    newest = (
        select(TEXTS.c.number, TEXTS.c.run, TEXTS.c.content)
        .join(RUNS, RUNS.c.number == TEXTS.c.run)
        .where(*_conditions(which))
        .order_by(TEXTS.c.number.desc())
    )
    nearby = newest.where(TEXTS.c.number < before * PIECES) if before else newest
    rows = connection.execute(nearby.limit(_NEARBY)).all()
    read(rows)
    if len(found) >= count or len(rows) < _NEARBY:
        return found
    last = rows[-1].number
    hits = _hits(connection, wanted, last)
    for start in range(0, len(hits), _BATCH):
        some = hits[start : start + _BATCH]
        read(connection.execute(newest.where(TEXTS.c.number.in_(some))).all())
        if len(found) >= count:
            break
    return found


def _hits(connection: Connection, wanted: Sought, before: int) -> list[int]:
    """Numbers of the pieces before that one that have all the trigrams, the newest first."""
    if connection.dialect.name == "postgresql":
        query = " & ".join(f"'{gram}'{':*' if wanted.beginnings else ''}" for gram in wanted.grams)
        statement = """
            WITH hits AS MATERIALIZED (SELECT number FROM texts WHERE grams @@ CAST(:query AS tsquery))
            SELECT number FROM hits WHERE number < :before ORDER BY number DESC
        """
    else:
        query = " AND ".join(f'"{gram}"{"*" if wanted.beginnings else ""}' for gram in wanted.grams)
        statement = "SELECT rowid FROM grams WHERE grams MATCH :query AND rowid < :before ORDER BY rowid DESC"
    return list(connection.execute(text(statement), {"query": query, "before": before}).scalars())
