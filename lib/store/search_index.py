"""The text index: which pieces of text a run is found by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, text, update

from lib.core.tokens import Tokens
from lib.store.run import Answer, Run
from lib.store.schema import PIECES, RUNS, TEXTS
from lib.store.search import folded, grams_of, overlapping_pieces

_PROMPTS = ("prompt", "prompts", "content")  # fields of plans and requests that hold texts


@dataclass(frozen=True)
class Piece:
    """A piece of a run's text."""

    place: int  # among the pieces of the run; PIECES - 1 is the title
    content: str  # folded
    grams: list[str]  # its distinct trigrams


def indexed(text: str, title: str = "") -> list[Piece]:
    """The pieces of a text and a title. Slow for long texts: call it before a transaction."""
    pieces = [*enumerate(islice(overlapping_pieces(folded(text)), PIECES - 1)), (PIECES - 1, folded(title))]
    return [Piece(place, content, grams_of(content)) for place, content in pieces if content]


def index_text(connection: Connection, number: int, pieces: Sequence[Piece]) -> None:
    """Add pieces to the index of a run."""
    rows: list[dict[str, Any]] = [
        {"at": number * PIECES + each.place, "run": number, "content": each.content, "grams": each.grams}
        for each in pieces
    ]
    size = RUNS.c.text_bytes + sum(len(each.content.encode()) for each in pieces)
    connection.execute(update(RUNS).where(RUNS.c.number == number).values(text_bytes=size))
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        statement = (
            "INSERT INTO texts (number, run, content, grams) VALUES (:at, :run, :content, array_to_tsvector(:grams))"
        )
        connection.execute(text(statement), rows)
        return
    connection.execute(text("INSERT INTO texts (number, run, content) VALUES (:at, :run, :content)"), rows)
    joined = [{"at": row["at"], "grams": " ".join(row["grams"])} for row in rows]
    connection.execute(text("INSERT INTO grams (rowid, gram) VALUES (:at, :grams)"), joined)


def index_title(connection: Connection, which: Sequence[ColumnElement[bool]], title: str) -> None:
    """Replace the title that runs are found by."""
    numbers = connection.execute(select(RUNS.c.number).where(*which)).scalars().all()
    unindex(connection, TEXTS.c.number.in_([number * PIECES + PIECES - 1 for number in numbers]))
    for number in numbers:
        index_text(connection, number, indexed("", title))


def unindex(connection: Connection, which: ColumnElement[bool]) -> None:
    """Delete pieces and their entries in the index."""
    gone = connection.execute(select(TEXTS.c.number, TEXTS.c.run, TEXTS.c.content).where(which)).all()
    for each in gone:
        size = RUNS.c.text_bytes - len(each.content.encode())
        connection.execute(update(RUNS).where(RUNS.c.number == each.run).values(text_bytes=size))
    if connection.dialect.name == "sqlite":  # a contentless FTS5 table must be told which terms to delete
        rows = [{"at": each.number, "grams": " ".join(grams_of(each.content))} for each in gone]
        if rows:
            connection.execute(text("INSERT INTO grams (grams, rowid, gram) VALUES ('delete', :at, :grams)"), rows)
    connection.execute(delete(TEXTS).where(which))


def searchable_text(run: Run, answers: Sequence[Answer] = ()) -> str:
    """Everything that a run is found by, except its title."""
    done = [each.completion for each in answers if each.completion is not None]
    prompts = list(dict.fromkeys(_without_special(each.prompt) for each in done))
    # A service may not send the prompt back, so the request is indexed as well.
    sent = [text for text in _requested_texts(run.details) if not any(text in prompt for prompt in prompts)]
    return "\n".join([*sent, *prompts, *(each.text for each in done)])


def _requested_texts(details: dict[str, Any]) -> list[str]:
    """The prompts and messages in the details of a run, which `lib.store.plan_codec` writes."""
    found: list[str] = []
    left: list[Any] = [details]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += reversed(each)
        elif isinstance(each, dict):
            left += reversed(each.values())
            for name in (name for name in _PROMPTS if name in each):
                texts = each[name] if isinstance(each[name], list) else [each[name]]
                found += [text for text in texts if isinstance(text, str)]
    return list(dict.fromkeys(found))


def _without_special(tokens: Tokens) -> str:
    """The text of tokens, without special tokens."""
    refs, pieces = tokens.refs[tokens.refs >= 0], tokens.pieces
    if not len(refs):
        return ""
    return pieces.select(refs[~pieces.special[refs]]).data.tobytes().decode("utf-8", "replace")
