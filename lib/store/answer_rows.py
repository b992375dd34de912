"""Answers as rows of the database: whole ones, and the parts of one that is still growing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update

from lib.core.completion import Completion
from lib.core.tokens import NO_TOKENS, Tokens, concatenate
from lib.store.compression import compress_completion, decompress_completion
from lib.store.run import SET_LATER, Answer, Run, completed, error_as_json
from lib.store.run_rows import insert_run, number_of, settled_values
from lib.store.schema import ANSWERS, RUNS, TEXTS
from lib.store.search_index import Piece, index_text, indexed, searchable_text, unindex


@dataclass(frozen=True)
class PackedRun:
    """A run that is over, ready to be written."""

    run: Run
    answers: tuple[tuple[str, bytes | None], ...]  # (error as JSON, compressed completion or None) each
    pieces: list[Piece]  # of its searchable text, without the title

    @property
    def bytes(self) -> int:
        """Stored size of the answers and of the record."""
        run = self.run
        texts = (run.title, run.note, run.model, run.source, *run.tags, *(run.error or ()))
        record = len(json.dumps(run.details)) + sum(len(text.encode("utf-8", "replace")) for text in texts)
        return record + sum(len(data) for _, data in self.answers if data is not None)


def pack_run(run: Run, answers: Sequence[Answer]) -> PackedRun:
    """Prepare a run for `write_run`. Slow for long answers: call it before a transaction."""
    run = completed(run, answers)
    rows = tuple(
        (error_as_json(each.error), None if each.completion is None else compress_completion(each.completion))
        for each in answers
    )
    return PackedRun(run, rows, indexed(searchable_text(run, answers)))


def write_run(connection: Connection, packed: PackedRun, now: int) -> int:
    """Insert a run, or replace what is stored of it; returns its number. A changed title and details set later stay."""
    run = packed.run
    number, title = number_of(connection, run.id), run.title
    if number is None:
        number = insert_run(connection, replace(run, created=run.created or now))
    else:
        stored = connection.execute(select(RUNS.c.title, RUNS.c.details).where(RUNS.c.number == number)).one()
        title = stored.title or title
        later = {name: value for name, value in json.loads(stored.details).items() if name in SET_LATER}
        changes = settled_values(replace(run, title=title, details=run.details | later))
        connection.execute(update(RUNS).where(RUNS.c.number == number).values(**changes, touched=now))
        connection.execute(delete(ANSWERS).where(ANSWERS.c.run == number))
        unindex(connection, TEXTS.c.run == number)
    rows = [
        {"run": number, "place": place, "part": 0, "error": error, "data": data}
        for place, (error, data) in enumerate(packed.answers)
    ]
    if rows:
        connection.execute(insert(ANSWERS), rows)
    connection.execute(update(RUNS).where(RUNS.c.number == number).values(bytes=packed.bytes))
    index_text(connection, number, packed.pieces + indexed("", title))
    return number


def read_answers(rows: Sequence[Any]) -> tuple[Answer, ...]:
    """The answers in rows of ANSWERS, which are ordered by place and part. Raises whatever damaged bytes cause."""
    answers: dict[int, list[Any]] = {}
    for each in rows:
        answers.setdefault(each.place, []).append(each)
    return tuple(_joined(parts) for parts in answers.values())


def _joined(parts: Sequence[Any]) -> Answer:
    pieces = [decompress_completion(each.data) for each in parts if each.data is not None]
    error = _error(parts[-1].error)
    if len(pieces) < 2:
        return Answer(pieces[0] if pieces else None, error)
    whole = replace(
        pieces[-1],
        prompt=pieces[0].prompt,
        generated=concatenate([each.generated for each in pieces]),
        text="".join(each.text for each in pieces),
    )
    return Answer(whole, error)


def _error(value: str) -> tuple[str, str] | None:
    if not value:
        return None
    cause, remedy = json.loads(value)
    return str(cause), str(remedy)


def slice_of(completion: Completion, tokens: int, characters: int) -> Completion:
    """The part of an answer after its first `tokens` tokens and `characters` characters, for `Runs.append`."""
    if not tokens:
        return completion
    return replace(
        completion, prompt=NO_TOKENS, generated=completion.generated[tokens:], text=completion.text[characters:]
    )


def extends(after: Completion, before: Completion) -> bool:
    """Whether `after` is `before` with more at its end."""
    return (
        len(after.prompt) == len(before.prompt)
        and _starts_with(after.prompt, before.prompt)
        and _starts_with(after.generated, before.generated)
        and after.text.startswith(before.text)
    )


def _starts_with(after: Tokens, before: Tokens) -> bool:
    rows = len(before)
    if len(after) < rows or after.k != before.k:
        return False
    return all(np.array_equal(getattr(after, name)[:rows], getattr(before, name)) for name in ("ids", "kinds", "ranks"))
