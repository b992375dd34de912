"""The repository of runs: begin, append, finish, open, change, remove and erase.

A run is in the database from the moment it begins. Its state is "incomplete" until `finish` is called, so a crash needs
no cleanup. Everything that belongs together is written in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from lib.access.visitor import Visitor
from lib.core.completion import Completion
from lib.errors import BadFile, CandorError, InvalidRequest
from lib.store.answer_rows import pack_run, read_answers, write_run
from lib.store.compression import compress_completion
from lib.store.database import Database
from lib.store.quota import check_room
from lib.store.run import (
    MAX_NOTE,
    MAX_TAG,
    MAX_TAGS,
    MAX_TITLE,
    SET_LATER,
    Answer,
    Known,
    Run,
    RunState,
    fingerprints,
    microseconds,
)
from lib.store.run_rows import batches, insert_run, known, number_of, runs_of, set_tags, visible_row
from lib.store.schema import ANSWERS, RUNS, TAGS, TEXTS
from lib.store.search_index import index_text, index_title, indexed, searchable_text, unindex

_ERASED_AT_ONCE = 500  # runs per transaction
_MAX_RELATED = 200  # runs of one tree


@dataclass(frozen=True)
class Part:
    """What is new of one answer."""

    place: int  # of the answer in the run
    part: int  # 0 replaces the answer; later ones hold only what is new
    piece: Completion


class Runs:
    """The runs in a database. Thread-safe. Every method raises StoreUnavailable.

    clock: the current time in microseconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], int] = microseconds) -> None:
        self.database = database
        self.clock = clock

    def begin(self, run: Run) -> None:
        """Insert a run that is about to be written. An existing one is left unchanged. Raises StoreFull."""
        pieces = indexed(searchable_text(run), run.title)
        with self.database.writing() as connection:
            if number_of(connection, run.id) is None:
                check_room(connection, run.owner, 1)
                now = self.clock()
                run = replace(run, state=RunState.INCOMPLETE, created=run.created or now, touched=now)
                index_text(connection, insert_run(connection, run), pieces)

    def append(self, run_id: str, place: int, part: int, piece: Completion) -> None:
        """Append a part to answer number `place`. Part 0 replaces the answer; later ones hold only what is new."""
        self.append_all(run_id, [Part(place, part, piece)])

    def append_all(self, run_id: str, parts: Sequence[Part]) -> None:
        """Append parts to different answers of a run, all or none."""
        if not parts:
            return
        data = [compress_completion(each.piece) for each in parts]
        with self.database.writing() as connection:
            number = number_of(connection, run_id)
            if number is None:  # erased in the meantime
                return
            for some in batches([each.place for each in parts if each.part == 0]):
                connection.execute(delete(ANSWERS).where(ANSWERS.c.run == number, ANSWERS.c.place.in_(some)))
            connection.execute(
                insert(ANSWERS),
                [
                    {"run": number, "place": each.place, "part": each.part, "error": "", "data": packed}
                    for each, packed in zip(parts, data, strict=True)
                ],
            )
            self._count(connection, number, [each.piece for each in parts], sum(map(len, data)))

    def _count(self, connection: Connection, number: int, pieces: Sequence[Completion], size: int) -> None:
        model, tokenizer = fingerprints(pieces[-1])
        values = {
            "touched": self.clock(),
            "tokens": RUNS.c.tokens + sum(len(each.prompt) + len(each.generated) for each in pieces),
            "bytes": RUNS.c.bytes + size,
            "model_fingerprint": model,
            "tokenizer_fingerprint": tokenizer,
        }
        connection.execute(update(RUNS).where(RUNS.c.number == number).values(**values))

    def finish(self, run: Run, answers: Sequence[Answer]) -> None:
        """Save a run that is over: its answers, and the state, seconds and error of `run`.

        Replaces what `begin` and `append` wrote, or inserts the run. A title, note or tags changed since then stay.
        """
        packed = pack_run(run, answers)
        with self.database.writing() as connection:
            write_run(connection, packed, self.clock())

    def get(self, run_id: str) -> Run | None:
        """A run without its answers; None if there is none or it is removed."""
        with self.database.reading() as connection:
            row = visible_row(connection, run_id)
            return None if row is None else runs_of(connection, [row])[0]

    def known(self, run_id: str) -> Known | None:
        """What identifies a run, including one that is removed but not yet erased."""
        with self.database.reading() as connection:
            return known(connection, run_id)

    def open(self, run_id: str) -> tuple[Run, tuple[Answer, ...]] | None:
        """A run and its answers; for an incomplete run, what has been written so far. Raises BadFile for damage."""
        with self.database.reading() as connection:
            row = visible_row(connection, run_id)
            if row is None:
                return None
            run = runs_of(connection, [row])[0]
            parts = connection.execute(
                select(ANSWERS.c.place, ANSWERS.c.error, ANSWERS.c.data)
                .where(ANSWERS.c.run == row.number)
                .order_by(ANSWERS.c.place, ANSWERS.c.part)
            ).all()
        try:
            return run, read_answers(parts)
        except CandorError:
            raise
        except Exception as error:  # damaged bytes may raise anything
            raise BadFile("The answers of this run are damaged.", "Delete it, or import it again.") from error

    def family(self, run_id: str, *, by: Visitor) -> tuple[Run, ...]:
        """A run, its ancestors and all their branches, oldest first.

        At most 400 runs: the run and its ancestors, then the visitor's own branches, then others.
        """
        with self.database.reading() as connection:
            rows = _ancestors(connection, run_id)
            grown = [row.id for row in rows.values()]
            own_first = (RUNS.c.owner == by.owner).desc(), RUNS.c.number
            while grown and len(rows) < 2 * _MAX_RELATED:
                query = select(RUNS).where(RUNS.c.parent.in_(grown), RUNS.c.removed.is_(None)).order_by(*own_first)
                found = [row for row in connection.execute(query.limit(_MAX_RELATED)) if row.number not in rows]
                rows |= {row.number: row for row in found}
                grown = [row.id for row in found]
            return tuple(runs_of(connection, [rows[number] for number in sorted(rows)]))

    def change(self, run_ids: Iterable[str], *, by: Visitor, **values: Any) -> None:
        """Change the `title`, `note` or `shared` of the visitor's runs. Runs of other owners are left unchanged."""
        if unknown := set(values) - {"title", "note", "shared"}:
            raise ValueError(f"{unknown} cannot be changed")
        for name, limit in (("title", MAX_TITLE), ("note", MAX_NOTE)):
            if len(values.get(name, "")) > limit:
                raise InvalidRequest(f"The {name} is longer than {limit:,} characters.", "Shorten it.")
        if "shared" in values:
            values["shared"] = int(values["shared"])
        with self.database.writing() as connection:
            for some in batches(run_ids):
                which = [RUNS.c.id.in_(some), *owned_by(by)]
                connection.execute(update(RUNS).where(*which).values(**values))
                if "title" in values:
                    index_title(connection, which, values["title"])

    def set_detail(self, run_id: str, name: str, value: Any, *, by: Visitor) -> bool:
        """Put a JSON value into the details of the visitor's run; returns whether there is such a run.

        Raises ValueError for a detail that is not in `SET_LATER`.
        """
        if name not in SET_LATER:
            raise ValueError(f"{name} cannot be changed")
        with self.database.writing() as connection:
            which = [RUNS.c.id == run_id, *owned_by(by)]
            content = connection.execute(select(RUNS.c.details).where(*which)).scalar()
            if content is None:
                return False
            details = json.dumps({**json.loads(content), name: value})
            connection.execute(update(RUNS).where(*which).values(details=details))
        return True

    def tag(self, run_id: str, tags: Iterable[str], *, by: Visitor) -> None:
        """Replace the tags of the visitor's run. A run of another owner is left unchanged."""
        wanted = {each.strip() for each in tags} - {""}
        if len(wanted) > MAX_TAGS or any(len(each) > MAX_TAG for each in wanted):
            raise InvalidRequest(
                f"A run has at most {MAX_TAGS} tags of {MAX_TAG} characters.", "Put longer text in the note."
            )
        with self.database.writing() as connection:
            number = connection.execute(select(RUNS.c.number).where(RUNS.c.id == run_id, *owned_by(by))).scalar()
            if number is not None:
                set_tags(connection, number, wanted)

    def remove(self, run_ids: Iterable[str], *, by: Visitor) -> None:
        """Hide the visitor's runs; until they are erased they can be put back."""
        self._mark(run_ids, by, self.clock())

    def put_back(self, run_ids: Iterable[str], *, by: Visitor) -> None:
        """Bring back the visitor's runs that were removed."""
        self._mark(run_ids, by, None)

    def _mark(self, run_ids: Iterable[str], by: Visitor, when: int | None) -> None:
        with self.database.writing() as connection:
            for some in batches(run_ids):
                connection.execute(update(RUNS).where(RUNS.c.id.in_(some), *owned_by(by)).values(removed=when))

    def erase(self, before: int) -> int:
        """Erase all runs removed up to `before` (microseconds since 1970), with their text; returns how many."""
        erased = 0
        while True:
            with self.database.writing() as connection:
                gone = select(RUNS.c.number).where(RUNS.c.removed <= before).limit(_ERASED_AT_ONCE)
                numbers = list(connection.execute(gone).scalars())
                if numbers:
                    unindex(connection, TEXTS.c.run.in_(numbers))
                    connection.execute(delete(RUNS).where(RUNS.c.number.in_(numbers)))
            if not numbers:
                break
            erased += len(numbers)
        if erased:
            self._scrub()
        return erased

    def _scrub(self) -> None:
        """Have the database overwrite what it has only marked as deleted."""
        if self.database.kind == "sqlite":
            with self.database.writing() as connection:
                connection.exec_driver_sql("INSERT INTO grams (grams) VALUES ('optimize')")
            with self.database.outside() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        with self.database.outside() as connection:
            for table in (RUNS, TAGS, ANSWERS, TEXTS):
                connection.exec_driver_sql(f"VACUUM {table.name}")


def owned_by(visitor: Visitor) -> list[ColumnElement[bool]]:
    """The conditions that limit a change to the visitor's runs."""
    return [] if visitor.whose is None else [RUNS.c.owner == visitor.whose]


def _ancestors(connection: Connection, run_id: str) -> dict[int, Any]:
    """The rows of a run and its line of parents, by number; empty if there is no such run."""
    rows: dict[int, Any] = {}
    row = visible_row(connection, run_id)
    while row is not None and row.number not in rows and len(rows) < _MAX_RELATED:
        rows[row.number] = row
        row = visible_row(connection, row.parent) if row.parent else None
    return rows
