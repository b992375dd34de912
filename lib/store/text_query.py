"""Runs by their text, newest first: recent texts are read directly, older ones through the trigram index.

Common text is found among the recent pieces, so the index is not needed. If other filters leave few runs, their texts
are read as well. Only otherwise is the index asked, a batch of pieces at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import CTE, BigInteger, ColumnElement, Connection, column, func, literal, select, text

from lib.store.schema import PIECES, RUNS, TEXTS
from lib.store.search import Sought

_BEYOND = 1 << 62  # larger than the number of any piece


@dataclass(frozen=True)
class Effort:
    """How much is read by each way of searching."""

    recent: int = 400  # pieces read before anything else
    few: int = 1_000  # runs that a filter may leave to have all their texts read
    batch: int = 3_200  # pieces that the index names and that are read at once


@dataclass(frozen=True)
class TextQuery:
    """Runs that contain a text and meet conditions."""

    connection: Connection
    sought: Sought
    conditions: list[ColumnElement[bool]]  # on RUNS
    effort: Effort

    def newest(self, count: int, before: int = 0) -> list[int]:
        """The numbers of the newest `count` runs, newest first; only those older than run `before` if it is not 0."""
        effort = self.effort
        found, pieces, last = self._search(_newest(effort.recent, before * PIECES if before else _BEYOND), count)
        if len(found) >= count or pieces < effort.recent:
            return found
        few = select(RUNS.c.number).where(*self.conditions).limit(effort.few + 1)
        numbers = self.connection.execute(few).scalars().all()
        if len(numbers) <= effort.few:
            older, _, _ = self._search(_newest(_BEYOND, last, TEXTS.c.run.in_(numbers)), count)
            return _merged(found, older)[:count]
        if self.connection.dialect.name == "postgresql":  # its planner would read every text for common trigrams
            self.connection.execute(text("SET LOCAL enable_seqscan = off"))
        pieces = effort.batch
        while len(found) < count and pieces == effort.batch:
            older, pieces, last = self._search(self._indexed(effort.batch, last), count)
            found = _merged(found, older)
        return found[:count]

    def _search(self, among: CTE, count: int) -> tuple[list[int], int, int]:
        """Search the text of some pieces: (the newest `count` matching runs, pieces read, number of the oldest one)."""
        place = func.instr if self.connection.dialect.name == "sqlite" else func.strpos
        matching = (
            select(among.c.run.label("value"), literal(0).label("what"))
            .join(TEXTS, TEXTS.c.number == among.c.number)
            .join(RUNS, RUNS.c.number == among.c.run)
            .where(place(TEXTS.c.content, self.sought.text) > 0, *self.conditions)
            .distinct()
            .order_by(among.c.run.desc())
            .limit(count)
            .subquery()
        )
        oldest = select(func.min(among.c.number), literal(1))
        pieces = select(func.count(), literal(2)).select_from(among)
        values: tuple[list[int], list[int], list[int]] = ([], [], [])
        for value, what in self.connection.execute(select(matching).union_all(oldest, pieces)):
            values[what].append(value)
        (last,), (number,) = values[1], values[2]
        return sorted(values[0], reverse=True), number, last or 0

    def _indexed(self, count: int, before: int) -> CTE:
        """The newest pieces before piece `before` that have all trigrams of the text, according to the index."""
        grams, prefix = self.sought.grams, self.sought.prefix
        if self.connection.dialect.name == "postgresql":
            query = " & ".join(f"'{gram}'{':*' if prefix else ''}" for gram in grams)
            statement = """
                WITH hits AS MATERIALIZED (SELECT number, run FROM texts WHERE grams @@ CAST(:query AS tsquery))
                SELECT number, run FROM hits WHERE number < :before ORDER BY number DESC LIMIT :count
            """
        else:
            query = " AND ".join(f'"{gram}"{"*" if prefix else ""}' for gram in grams)
            statement = f"""
                SELECT rowid AS number, rowid / {PIECES} AS run FROM grams
                WHERE grams MATCH :query AND rowid < :before ORDER BY rowid DESC LIMIT :count
            """  # noqa: S608 - a constant
        named = text(statement).bindparams(query=query, before=before, count=count)
        return named.columns(column("number", BigInteger), column("run", BigInteger)).cte("among")


def _newest(count: int, before: int, *conditions: ColumnElement[bool]) -> CTE:
    """The newest pieces before piece `before`."""
    pieces = select(TEXTS.c.number, TEXTS.c.run).where(TEXTS.c.number < before, *conditions)
    return pieces.order_by(TEXTS.c.number.desc()).limit(count).cte("among")


def _merged(newer: list[int], older: list[int]) -> list[int]:
    """Both lists without duplicates: pieces of one run may be in both."""
    return list(dict.fromkeys([*newer, *older]))
