"""The history: runs by what they say, what they are and when they were, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    column,
    func,
    literal,
    or_,
    select,
    text,
    update,
)

from lib.access.visitor import Visitor
from lib.errors import InvalidRequest
from lib.store.database import Database
from lib.store.runs import Run, microseconds, runs_of
from lib.store.schema import INDEXED, PIECES, RUNS, TAGS, TEXTS, indexed_part, is_indexed
from lib.store.search import Sought, sought

SORTS = {
    "newest": (RUNS.c.number.desc(),),
    "oldest": (RUNS.c.number.asc(),),
    "longest": (RUNS.c.tokens.desc(),),
    "title": (func.lower(indexed_part(RUNS.c.title)).asc(), func.lower(RUNS.c.title).asc()),
}
MOST_FOUND = 2_000  # runs that are found by text and sorted otherwise than by age
_NEARBY = 400  # pieces of text that are read before the index is asked: of what is common, a page is among them
_FEW = 1_000  # runs that a filter leaves and whose texts are read without asking the index
_AT_ONCE = 3_200  # pieces that the index names and that are read at once
_BEYOND = 1 << 62  # no piece has that number


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
    """Bytes: answers in their packed form, the texts that they are found by."""

    runs: int
    tokens: int
    answers: int
    texts: int


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
            ordered = query.order_by(*SORTS[sort], RUNS.c.number.desc()).offset(start).limit(count + 1)
            rows = connection.execute(ordered).all()
            following = start + count if len(rows) > count else None
        return Listed(tuple(runs_of(connection, rows[:count])), following)


def names(database: Database, owner: str | None = None) -> dict[str, list[str]]:
    """The pages, models and tags that there are; those of removed runs, too, until these are erased."""
    mine = [] if owner is None else [RUNS.c.owner == owner]
    with database.reading() as connection:
        found = {"page": _distinct(connection, RUNS.c.page, *mine), "model": _models(connection, *mine)}
        if owner is None:
            return found | {"tag": _distinct(connection, TAGS.c.tag)}
        tags = select(TAGS.c.tag).join(RUNS, RUNS.c.number == TAGS.c.run).where(*mine).distinct().order_by(TAGS.c.tag)
        return found | {"tag": list(connection.execute(tags).scalars())}


def _distinct(connection: Connection, of: ColumnElement[str], *conditions: ColumnElement[bool]) -> list[str]:
    """The values of a column that is in an index."""
    steps = _steps(of, *conditions)
    return list(connection.execute(select(steps.c.value).where(steps.c.value.is_not(None))).scalars())


def _models(connection: Connection, *conditions: ColumnElement[bool]) -> list[str]:
    """The names of the models, of which the index has the beginnings."""
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
    """The values of what an index has, by as many steps through it as there are values; NULL after the last."""
    steps = select(func.min(of).label("value")).where(*conditions).cte("steps", recursive=True)
    after = select(func.min(of)).where(of > steps.c.value, *conditions).scalar_subquery()
    return steps.union_all(select(after).where(steps.c.value.is_not(None)))


def sizes(database: Database, owner: str | None = None) -> Sizes:
    """How much is kept."""
    columns = (RUNS.c.tokens, RUNS.c.bytes, RUNS.c.text_bytes)
    total = select(func.count(), *(func.coalesce(func.sum(each), 0) for each in columns))
    mine = [RUNS.c.removed.is_(None)] + ([] if owner is None else [RUNS.c.owner == owner])
    with database.reading() as connection:
        return Sizes(*(int(each) for each in connection.execute(total.where(*mine)).one()))


def index_size(database: Database) -> int:
    """Bytes that the index of all texts takes."""
    of = {
        "postgresql": "SELECT pg_relation_size('texts_grams')",
        # The index is one table of blocks; its virtual table adds next to nothing.
        "sqlite": "SELECT coalesce(sum(length(block)), 0) FROM grams_data",
    }
    with database.reading() as connection:
        return int(connection.execute(text(of[database.kind])).scalar_one())


def counted(database: Database, which: Filter) -> int:
    """How many runs there are of those that `which` means, whatever their text."""
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(RUNS).where(*_conditions(which))).scalar_one())


def remove_all(database: Database, which: Filter, *, by: Visitor) -> int:
    """Take all of the visitor's, whatever their text, out of sight; returns the moment that `put_back_all` needs."""
    when = microseconds()
    with database.writing() as connection:
        connection.execute(update(RUNS).where(*_conditions(which), *_mine(by)).values(removed=when))
    return when


def put_back_all(database: Database, when: int, *, by: Visitor) -> None:
    """Bring back what `remove_all` took away at that moment."""
    mine = _mine(by)
    with database.writing() as connection:
        connection.execute(update(RUNS).where(RUNS.c.removed == when, *mine).values(removed=None))


def _mine(by: Visitor) -> list[ColumnElement[bool]]:
    return [] if by.whose is None else [RUNS.c.owner == by.whose]


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


def _found(connection: Connection, which: Filter, wanted: Sought, before: int, count: int) -> list[int]:
    """The newest `count` runs with that text that were begun before run number `before` (0: all), newest first."""
    conditions = _conditions(which)
    look = partial(_looked_through, connection, wanted, conditions, count)
    found, pieces, last = look(_newest(_NEARBY, before * PIECES if before else _BEYOND))
    if len(found) >= count or pieces < _NEARBY:
        return found
    few = connection.execute(select(RUNS.c.number).where(*conditions).limit(_FEW + 1)).scalars().all()
    if len(few) <= _FEW:
        rest, _, _ = look(_newest(_BEYOND, last, TEXTS.c.run.in_(few)))
        return _together(found, rest)[:count]
    if connection.dialect.name == "postgresql":  # it would read all texts where it believes that many have the trigrams
        connection.execute(text("SET LOCAL enable_seqscan = off"))
    pieces = _AT_ONCE
    while len(found) < count and pieces == _AT_ONCE:
        rest, pieces, last = look(_indexed(connection, wanted, _AT_ONCE, last))
        found = _together(found, rest)
    return found[:count]


def _together(newer: list[int], older: list[int]) -> list[int]:
    """Without a run twice, of whose pieces some are among the newer ones and some among the older."""
    return list(dict.fromkeys([*newer, *older]))


def _looked_through(
    connection: Connection, wanted: Sought, conditions: list[ColumnElement[bool]], count: int, among: CTE
) -> tuple[list[int], int, int]:
    """The newest `count` runs that meet the conditions and have the text in one of some pieces; how many pieces these
    are, and the number of the oldest.
    """
    place = func.instr if connection.dialect.name == "sqlite" else func.strpos
    having = (
        select(among.c.run.label("value"), literal(0).label("what"))
        .join(TEXTS, TEXTS.c.number == among.c.number)
        .join(RUNS, RUNS.c.number == among.c.run)
        .where(place(TEXTS.c.content, wanted.text) > 0, *conditions)
        .distinct()
        .order_by(among.c.run.desc())
        .limit(count)
        .subquery()
    )
    oldest = select(func.min(among.c.number), literal(1))
    pieces = select(func.count(), literal(2)).select_from(among)
    values: tuple[list[int], list[int], list[int]] = ([], [], [])
    for value, what in connection.execute(select(having).union_all(oldest, pieces)):
        values[what].append(value)
    (last,), (number,) = values[1], values[2]
    return sorted(values[0], reverse=True), number, last or 0


def _newest(count: int, before: int, *conditions: ColumnElement[bool]) -> CTE:
    """The newest pieces before that one."""
    pieces = select(TEXTS.c.number, TEXTS.c.run).where(TEXTS.c.number < before, *conditions)
    return pieces.order_by(TEXTS.c.number.desc()).limit(count).cte("among")


def _indexed(connection: Connection, wanted: Sought, count: int, before: int) -> CTE:
    """The newest pieces before that one of which the index says that they may have the text."""
    if connection.dialect.name == "postgresql":
        query = " & ".join(f"'{gram}'{':*' if wanted.beginnings else ''}" for gram in wanted.grams)
        statement = """
            WITH hits AS MATERIALIZED (SELECT number, run FROM texts WHERE grams @@ CAST(:query AS tsquery))
            SELECT number, run FROM hits WHERE number < :before ORDER BY number DESC LIMIT :count
        """
    else:
        query = " AND ".join(f'"{gram}"{"*" if wanted.beginnings else ""}' for gram in wanted.grams)
        statement = f"""
            SELECT rowid AS number, rowid / {PIECES} AS run FROM grams
            WHERE grams MATCH :query AND rowid < :before ORDER BY rowid DESC LIMIT :count
        """  # noqa: S608 - a constant
    named = text(statement).bindparams(query=query, before=before, count=count)
    return named.columns(column("number", BigInteger), column("run", BigInteger)).cte("among")
