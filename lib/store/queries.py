"""Queries of the history: filtered and sorted pages of runs, their names and sizes, and removal in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, func, or_, select, update

from lib.access.visitor import Visitor
from lib.errors import InvalidRequest
from lib.store.database import Database
from lib.store.run import Run, microseconds
from lib.store.run_rows import runs_of
from lib.store.runs import owned_by
from lib.store.schema import INDEXED, RUNS, TAGS, indexed_part, is_indexed
from lib.store.search import sought
from lib.store.text_query import Effort, TextQuery

SORTS = {
    "newest": (RUNS.c.number.desc(),),
    "oldest": (RUNS.c.number.asc(),),
    "longest": (RUNS.c.tokens.desc(),),
    "title": (func.lower(indexed_part(RUNS.c.title)).asc(), func.lower(RUNS.c.title).asc()),
}
MAX_SORTED = 2_000  # runs found by text that can be sorted other than by age
_DEFAULT_EFFORT = Effort()


@dataclass(frozen=True)
class Filter:
    """Which runs to list. "" and None match every run."""

    text: str = ""  # anywhere in title, prompt or answer, ignoring case
    page: str = ""
    model: str = ""
    tag: str = ""
    owner: str | None = None
    shared: bool = False  # also match runs that other owners share
    since: int | None = None  # microseconds since 1970, inclusive
    until: int | None = None  # microseconds since 1970, exclusive


@dataclass(frozen=True)
class Listed:
    """One page of runs."""

    runs: tuple[Run, ...]
    following: int | None  # `start` of the next page; None on the last one


@dataclass(frozen=True)
class Sizes:
    """How much is saved."""

    runs: int
    tokens: int
    answers: int  # bytes, compressed
    texts: int  # bytes of searchable text


def listed(
    database: Database,
    which: Filter,
    *,
    sort: str = "newest",
    start: int = 0,
    count: int = 25,
    effort: Effort = _DEFAULT_EFFORT,
) -> Listed:
    """A page of at most `count` runs. Raises InvalidRequest for a text that is too long to search, StoreUnavailable.

    start: 0 for the first page, else `following` of the page before.
    """
    if sort not in SORTS:
        raise InvalidRequest(f"Runs cannot be sorted by {sort}.", f"Choose one of {', '.join(SORTS)}.")
    wanted, conditions = sought(which.text), _conditions(which)
    with database.reading() as connection:
        matching = TextQuery(connection, wanted, conditions, effort)
        if wanted.text and sort == "newest":
            rows = _rows(connection, matching.newest(count + 1, start))
            following = rows[count - 1].number if len(rows) > count else None
        else:
            query = select(RUNS).where(*conditions)
            if wanted.text:
                query = query.where(RUNS.c.number.in_(matching.newest(MAX_SORTED)))
            ordered = query.order_by(*SORTS[sort], RUNS.c.number.desc()).offset(start).limit(count + 1)
            rows = connection.execute(ordered).all()
            following = start + count if len(rows) > count else None
        return Listed(tuple(runs_of(connection, rows[:count])), following)


def names(database: Database, owner: str | None = None) -> dict[str, list[str]]:
    """The distinct pages, models and tags, including those of runs that are removed but not yet erased."""
    mine = [] if owner is None else [RUNS.c.owner == owner]
    with database.reading() as connection:
        found = {"page": _distinct(connection, RUNS.c.page, *mine), "model": _models(connection, *mine)}
        if owner is None:
            return found | {"tag": _distinct(connection, TAGS.c.tag)}
        tags = select(TAGS.c.tag).join(RUNS, RUNS.c.number == TAGS.c.run).where(*mine).distinct().order_by(TAGS.c.tag)
        return found | {"tag": list(connection.execute(tags).scalars())}


def _distinct(connection: Connection, of: ColumnElement[str], *conditions: ColumnElement[bool]) -> list[str]:
    """The distinct values of an indexed column."""
    steps = _steps(of, *conditions)
    return list(connection.execute(select(steps.c.value).where(steps.c.value.is_not(None))).scalars())


def _models(connection: Connection, *conditions: ColumnElement[bool]) -> list[str]:
    """The distinct models, of which the index contains only the first INDEXED characters."""
    part = indexed_part(RUNS.c.model)
    steps = _steps(part, *conditions)
    length = func.length(steps.c.value)
    found = connection.execute(select(steps.c.value, length.label("length")).where(steps.c.value.is_not(None))).all()
    short = [each.value for each in found if each.length < INDEXED]
    if len(short) == len(found):
        return short
    long = select(RUNS.c.model).where(func.length(part) >= INDEXED, *conditions).distinct()
    return sorted([*short, *connection.execute(long).scalars()])


def _steps(of: ColumnElement[str], *conditions: ColumnElement[bool]) -> CTE:
    """The distinct values in an index by one look-up each (a loose index scan), with NULL after the last."""
    steps = select(func.min(of).label("value")).where(*conditions).cte("steps", recursive=True)
    after = select(func.min(of)).where(of > steps.c.value, *conditions).scalar_subquery()
    return steps.union_all(select(after).where(steps.c.value.is_not(None)))


def sizes(database: Database, owner: str | None = None) -> Sizes:
    """How much is saved, by everyone or by one owner, without removed runs."""
    columns = (RUNS.c.tokens, RUNS.c.bytes, RUNS.c.text_bytes)
    total = select(func.count(), *(func.coalesce(func.sum(each), 0) for each in columns))
    mine = [RUNS.c.removed.is_(None)] + ([] if owner is None else [RUNS.c.owner == owner])
    with database.reading() as connection:
        return Sizes(*(int(each) for each in connection.execute(total.where(*mine)).one()))


def counted(database: Database, which: Filter) -> int:
    """The number of runs that match a filter; its text is ignored."""
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(RUNS).where(*_conditions(which))).scalar_one())


def remove_all(database: Database, which: Filter, *, by: Visitor) -> int:
    """Hide the visitor's runs that match a filter, ignoring its text; returns the moment for `put_back_all`."""
    when = microseconds()
    with database.writing() as connection:
        connection.execute(update(RUNS).where(*_conditions(which), *owned_by(by)).values(removed=when))
    return when


def put_back_all(database: Database, when: int, *, by: Visitor) -> None:
    """Bring back the runs that `remove_all` hid at that moment."""
    with database.writing() as connection:
        connection.execute(update(RUNS).where(RUNS.c.removed == when, *owned_by(by)).values(removed=None))


def _conditions(which: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [RUNS.c.removed.is_(None)]
    if which.owner is not None:
        own = RUNS.c.owner == which.owner
        conditions.append(or_(own, RUNS.c.shared == 1) if which.shared else own)
    if which.page:
        conditions.append(RUNS.c.page == which.page)
    if which.model:
        conditions.append(is_indexed(RUNS.c.model, which.model))
    if which.tag:
        conditions.append(RUNS.c.number.in_(select(TAGS.c.run).where(TAGS.c.tag == which.tag)))
    if which.since is not None:
        conditions.append(RUNS.c.created >= which.since)
    if which.until is not None:
        conditions.append(RUNS.c.created < which.until)
    return conditions


def _rows(connection: Connection, numbers: Sequence[int]) -> Sequence[Any]:
    found = select(RUNS).where(RUNS.c.number.in_(numbers)).order_by(RUNS.c.number.desc())
    return connection.execute(found).all()
