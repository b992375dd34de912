"""Fact sheets: prompts whose answers have several checkable values, and where each value is found and graded.

tests/making/sheets.md says how they were made and checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lib.errors import BadFile
from lib.evaluation.grading import normalized, number_in
from lib.evaluation.table import read_table

FILE = Path(__file__).parents[1] / "evaluation" / "sets" / "sheets.jsonl"
_LONGEST, _MOST_WORDS = 60, 6  # of a value: characters, words; what is longer is no value
_MOST_FIELDS, _MOST_EXPECTED = 20, 200
# A value ends at a mark that is no part of a number or a saint's name, or at a word that joins clauses.
_END = re.compile(
    r"[,;:](?!\d)|(?<!\bSt)(?<!\bMt)\.(?=[\s\"”']|$)|[!?\n(\[]|<\||[\"”]|\s[-–—]\s"
    r"|\s(?:and|or|as|with|which|that|who|whose|where|while|but|is|are|was|it|its|in)\b"
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_START = re.compile(r"[\s:\"“']*(?:(?:the|an?)\s+)?")
_REMEDY = "Reinstall Candor, or correct the file."


@dataclass(frozen=True)
class Field:
    """A value that an answer states, and what it should be."""

    name: str
    cue: str  # the words before it; "" if the answer begins with it
    expected: tuple[str, ...]  # values that are right; empty if that is not known
    after: str = ""  # the words after it, if it isn't followed by a mark or a new clause
    tolerance: float = 0.0  # the share by which a number may differ, at least one half; 0: it is compared as text
    unclear: tuple[str, ...] = ()  # values that are neither clearly right nor clearly wrong
    given: str = ""  # the field that must be right for this one to be graded, as a city's country for its capital


@dataclass(frozen=True)
class Sheet:
    """A prompt, and the values of its answer."""

    row_id: str
    kind: str  # what it is about: a country, an element …
    template: str  # the form of its sentences
    entity: str
    part: str  # design, development or held-out
    prompt: str  # ends where the answer begins
    stop: tuple[str, ...]
    fields: tuple[Field, ...]  # in the order of the answer


@dataclass(frozen=True)
class Span:
    """The place of a field's value in an answer."""

    field: str
    start: int  # character offsets
    end: int
    right: bool | None  # None if it isn't graded


GradedSpan = Span


def spans(sheet: Sheet, text: str) -> list[Span]:
    """The values of an answer in order, graded ones and others. Fields that aren't found are left out.

    What follows a value up to the end of its clause, such as a second language, is a span that isn't graded.
    """
    found: list[Span] = []
    place = 0
    line = text.split("\n")[0]
    for field in sheet.fields:
        cue = re.compile(re.escape(field.cue) + r"(?!\w)", re.IGNORECASE).search(line, place) if field.cue else None
        if field.cue and cue is None:
            continue
        start = _START.match(line, cue.end() if cue else place).end()  # type: ignore[union-attr]
        end = _end(line, start, field)
        value = line[start:end]
        if not normalized(value):
            continue
        right = _is_right(value, field)
        if field.given and not any(each.field == field.given and each.right for each in found):
            right = None
        found.append(Span(field.name, start, end, right))
        rest = re.compile(r"[,.;\n]|$").search(line, end)
        if rest is not None and normalized(line[end : rest.start()]) and not _is_expected_rest(line, end, sheet, field):
            found.append(Span(field.name, end, rest.start(), None))
        place = end
    return found


def graded_spans(sheet: Sheet, text: str) -> list[GradedSpan]:
    """The values of an answer that are graded, in order."""
    return [each for each in spans(sheet, text) if each.right is not None]


def _end(line: str, start: int, field: Field) -> int:
    """Where a value ends: after an expected one as a whole, or else before a mark or the next clause."""
    for expected in sorted(field.expected, key=len, reverse=True):
        found = re.compile(re.escape(expected), re.IGNORECASE).match(line, start)
        if found and (found.end() == len(line) or _END.match(line, found.end())):
            return found.end()
    ends = [found.start() for found in (_END.search(line, start),) if found]
    if field.after and (place := line.casefold().find(field.after.casefold(), start)) >= 0:
        ends.append(place)
    end = min(ends, default=len(line))
    return start + len(line[start:end].rstrip(" .'’\"”"))


def _is_expected_rest(line: str, end: int, sheet: Sheet, field: Field) -> bool:
    """Whether the text after a value is the sheet's own, rather than more of the value."""
    rest = line[end:].strip().casefold()
    cues = [each.cue.casefold() for each in sheet.fields if each.cue]
    return (bool(field.after) and rest.startswith(field.after.strip().casefold())) or any(
        rest.removeprefix("and ").startswith(cue) for cue in cues
    )


def _is_right(value: str, field: Field) -> bool | None:
    """The grade of a value; None if it is too long, or has an expected value as a part, or is a part of one."""
    ours = normalized(_THOUSANDS.sub("", value))
    if not field.expected or len(value) > _LONGEST or len(value.split()) > _MOST_WORDS:
        return None
    theirs = [normalized(_THOUSANDS.sub("", each)) for each in field.expected]
    if ours in theirs:
        return True
    number = number_in(value) if field.tolerance else None
    if number is not None:
        wanted = [each for each in map(number_in, field.expected) if each is not None]
        return any(abs(number - each) < max(field.tolerance * abs(each), 0.5) for each in wanted)
    overlaps = any(f" {each} " in f" {ours} " or f" {ours} " in f" {each} " for each in theirs)
    unclear = ours in [normalized(each) for each in field.unclear]
    return None if overlaps or unclear else False


@cache
def sheets(part: str = "") -> tuple[Sheet, ...]:
    """The sheets that come with Candor, of one part or of all. Raises BadFile."""
    table = read_table(FILE.read_bytes(), FILE.name)
    return tuple(each for each in map(sheet_of, table.rows) if not part or each.part == part)


def sheet_of(row: Mapping[str, Any]) -> Sheet:
    """A row of a file of sheets. Raises BadFile."""
    names = ("id", "kind", "template", "entity", "part", "prompt")
    row_id, kind, template, entity, part, prompt = texts = [row.get(name) for name in names]
    if not all(isinstance(each, str) and each for each in texts):
        raise BadFile("A sheet lacks one of its texts.", _REMEDY)
    fields = tuple(_fields(row.get("fields")))
    if fields[0].cue or not all(each.cue for each in fields[1:]):
        raise BadFile("Only the first field of a sheet has no words before it.", _REMEDY)
    stop = row.get("stop")
    if not isinstance(stop, list) or not all(isinstance(each, str) and each for each in stop):
        raise BadFile("A sheet's stop sequences are no texts.", _REMEDY)
    return Sheet(
        str(row_id), str(kind), str(template), str(entity), str(part), str(prompt), tuple(stop), fields
    )  # fmt: skip


def _fields(rows: Any) -> Iterator[Field]:
    if not isinstance(rows, list) or not 0 < len(rows) <= _MOST_FIELDS:
        raise BadFile(f"A sheet has not between 1 and {_MOST_FIELDS} fields.", _REMEDY)
    for row in rows:
        if not isinstance(row, dict):
            raise BadFile("A field of a sheet is no object.", _REMEDY)
        name, cue, after, expected = row.get("name"), row.get("cue"), row.get("after", ""), row.get("expected")
        given, unclear, tolerance = row.get("given", ""), row.get("unclear", []), row.get("tolerance", 0.0)
        if not all(isinstance(each, str) for each in (name, cue, after, given)) or not name:
            raise BadFile("A field of a sheet lacks its name or its words.", _REMEDY)
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < 1:
            raise BadFile("The tolerance of a field is no share.", _REMEDY)
        yield Field(
            str(name), str(cue), _texts(expected), str(after), float(tolerance), _texts(unclear), str(given)
        )  # fmt: skip


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or len(values) > _MOST_EXPECTED:
        raise BadFile("The values of a field are no list, or too many.", _REMEDY)
    if not all(isinstance(each, str) and normalized(each) for each in values):
        raise BadFile("A value of a field is no text.", _REMEDY)
    return tuple(values)
