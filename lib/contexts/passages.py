"""Passages from pasted text or a file, with notes on what was left out or changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lib.contexts.retrieved import Found, found_in, json_in
from lib.core.request import check_text
from lib.errors import BadFile, CandorError, InvalidRequest
from lib.evaluation.table import read_table
from lib.formatting import count

MOST_PASSAGES = 50
MOST_BYTES = 10_000_000
LONGEST = 100_000  # characters of a passage
LONGEST_ID = 200  # characters
MOST_SCORE = 1e15  # of a retriever, either way
_LISTED = 3  # ids that a note names
_DASHES = re.compile(r"^[ \t]*-{3,}[ \t]*$", re.MULTILINE)
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_TABLES = (".csv", ".tsv", ".parquet")
_TEXT_COLUMNS = ("text", "passage", "content", "page_content", "body", "chunk", "document", "context")
_HOW = "Separate passages by blank lines or by lines of three dashes."


@dataclass(frozen=True)
class Passage:
    """A retrieved passage."""

    id: str  # unique among those of a question
    text: str  # without white space around it
    score: float | None = None  # the retriever's own score, higher for a better passage; None if it gave none


@dataclass(frozen=True)
class Passages:
    """The passages that can be used, in the order they were given in."""

    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = ()  # what was left out or changed, in full sentences


def from_text(text: str) -> Passages:
    """Passages from pasted text: a retriever's JSON, JSON Lines, or plain text with separators.

    Lines of three or more dashes separate passages if there are any; otherwise blank lines do. Raises BadFile for
    none or too many, and InvalidRequest for a text that no model can read.
    """
    _check_size(len(text))
    if not text.strip():
        raise BadFile("There are no passages.", _HOW)
    looks_like_json = text.lstrip().startswith(("{", "["))
    if looks_like_json and (value := json_in(text)) is not None:
        return checked(found_in(value))
    found = checked(Found(part) for part in split_text(text))
    note = "The text looks like JSON but is not valid, so it was read as plain text."
    return Passages(found.passages, (*found.notes, note)) if looks_like_json else found


def from_file(data: bytes, name: str = "") -> Passages:
    """Passages from a file: JSON, JSON Lines, CSV, Parquet, or text with separators.

    name: of the file, whose ending tells CSV from text and requires JSON to be valid. Raises BadFile, InvalidRequest.
    """
    _check_size(len(data))
    ending = name.lower()
    if ending.endswith(_TABLES) or data[:4] == b"PAR1":
        return checked(_of_rows(data, name))
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile("The file is not text in UTF-8.", "Choose a JSON, JSON Lines, CSV or text file.") from error
    if ending.endswith((".json", ".jsonl", ".ndjson")) and text.strip() and json_in(text) is None:
        raise BadFile("The file is not valid JSON or JSON Lines.", "Save it again as JSON, or rename it to .txt.")
    return from_text(text)


def split_text(text: str) -> list[str]:
    """The parts of a text between lines of dashes, or between blank lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return (_DASHES if _DASHES.search(text) else _BLANK).split(text)


def checked(found: Iterable[Found]) -> Passages:
    """Passages with unique ids, without empty ones and duplicates. Raises BadFile and InvalidRequest."""
    notes: list[str] = []
    kept: dict[str, Passage] = {}
    texts: dict[str, str] = {}  # the id of each text, by its words
    empty, unusable, twice, renamed = 0, 0, [], []
    for number, each in enumerate(found, 1):
        text = each.text.strip()
        if not text:
            empty += 1
            continue
        _check_passage(text, number)
        name = each.id.strip()[:LONGEST_ID] or str(number)
        _check_text(name, f"The id of passage {number}")
        if (same := texts.get(" ".join(text.split()))) is not None:
            twice.append(same)
            continue
        given, copy = name, 2
        while name in kept:
            name, copy = f"{given} ({copy})", copy + 1
        if name != given:
            renamed.append(given)
        kept[name] = Passage(name, text, _usable(each.score))
        unusable += kept[name].score is None and each.score is not None
        texts[" ".join(text.split())] = name
        if len(kept) > MOST_PASSAGES:
            raise BadFile(
                f"There are more than {MOST_PASSAGES} passages.", "Leave out those that your retriever ranks lowest."
            )
    if not kept:
        raise BadFile("There are no passages." if not empty else "All passages are empty.", _HOW)
    if empty:
        notes.append(f"{count(empty, 'passage')} had no text and {_was(empty)} left out.")
    if twice:
        notes.append(
            f"{count(len(twice), 'passage')} repeated another ({_names(twice)}) and {_was(len(twice))} left out."
        )
    if renamed:
        notes.append(f"Passages with the same id were numbered: {_names(renamed)}.")
    if unusable:
        notes.append(f"{count(unusable, 'score')} of the retriever can't be used: not finite, or too large.")
    if len(kept) == 1:
        notes.append("There is only one passage, so there is nothing to rank it against.")
    return Passages(tuple(kept.values()), tuple(notes))


def as_rows(passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Passages as JSON objects, which `from_text` reads back."""
    return [{"id": each.id, "text": each.text, "score": each.score} for each in passages]


def as_pasted(passages: Sequence[Passage]) -> str:
    """Passages as a text that `from_text` reads back: as plain text, or as JSON if that would lose something."""
    plain = "\n---\n".join(each.text for each in passages)
    try:
        same = from_text(plain).passages == tuple(passages)
    except CandorError:
        same = False
    return plain if same else json.dumps(as_rows(passages), indent=1, ensure_ascii=False)


def _of_rows(data: bytes, name: str) -> list[Found]:
    table = read_table(data, name)
    column = next((each for each in _TEXT_COLUMNS if each in {one.lower() for one in table.columns}), None)
    if column is None:
        raise BadFile(
            f"The file has no column with the passages' text; it has {', '.join(table.columns[:10])}.",
            "Name the column “text”.",
        )
    return found_in([{str(key).lower(): value for key, value in row.items()} for row in table.rows])


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise BadFile(
            f"The passages have {size / 1e6:,.0f} MB; {MOST_BYTES / 1e6:,.0f} MB can be read.",
            "Leave out those that your retriever ranks lowest.",
        )


def _check_passage(text: str, number: int) -> None:
    if len(text) > LONGEST:
        raise InvalidRequest(
            f"Passage {number} has {len(text):,} characters; {LONGEST:,} can be scored.", "Split it into chunks first."
        )
    _check_text(text, f"Passage {number}")


def _check_text(text: str, what: str) -> None:
    try:
        check_text(text)
    except InvalidRequest as error:
        raise InvalidRequest(f"{what}: {error.cause}", error.remedy) from None


def _usable(score: float | None) -> float | None:
    return score if score is not None and abs(score) <= MOST_SCORE else None  # not NaN either


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _names(ids: Sequence[str]) -> str:
    """A few ids for a note."""
    distinct = list(dict.fromkeys(ids))
    more = f" and {len(distinct) - _LISTED} more" if len(distinct) > _LISTED else ""
    return ", ".join(f"“{each}”" for each in distinct[:_LISTED]) + more
