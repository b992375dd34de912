"""Confidence per field of a JSON answer: the tokens of each value, without those that only structure it.

A token counts for a value if any of its characters belongs to it, as in `4}` or `"Par`. A string's quotes do not
belong to it, so that a token with only a closing quote counts for nothing. Of an empty string, object or array, the
closing quote or bracket is the value, as there is nothing else that the model chose.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.core.completion import Completion, StopReason
from lib.core.pieces import Ints
from lib.core.tokens import TokenKind
from lib.doubts.spread import Spread
from lib.formatting import beginning, percent
from lib.json_answers.choices import MOST_RESOLVED, Choices, spread_of, values_at, whole_values
from lib.json_answers.find import json_in
from lib.json_answers.scan import Fault, Found, Kind, Scan, decoded_string
from lib.scores.token_scores import answer_mask
from lib.segmentation.cells import Cells, split
from lib.segmentation.char_classes import encodable, marked

_MOST_ALTERNATIVES = 3
_MOST_NOTES = 3
_LONGEST_SHOWN = 200  # characters of a text in the table
_ENDED = {
    StopReason.LENGTH: "it was cut off at the token limit",
    StopReason.STOP: "the model ended it there",
    StopReason.CANCELLED: "you stopped it",
    StopReason.INCOMPLETE: "the connection dropped",
    "stop string": "a stop sequence ended it",
}


@dataclass(frozen=True)
class Field:
    """A value of a JSON answer, or a key, with how confident the model was of it."""

    path: str  # such as "orders[2].price"; of a key, that of its value
    kind: Kind
    text: str  # as in the answer; of strings, decoded and without quotes
    value: Any  # as Python reads it; of what is cut off, its text
    first: int  # row of its first token in `completion.generated`
    last: int  # row after its last token
    logprob: float  # sum over its tokens, in nats; NaN if one is unscored or forced, or there is none
    lowest: int  # row of its least likely token; -1 if there is none
    lowest_text: str  # what that token spells
    alternatives: tuple[tuple[str, float], ...]  # (text, probability) of other tokens there, most likely first
    complete: bool  # whether the answer does not end inside it
    repeated: bool  # whether an earlier key of the same object is the same
    choices: tuple[str, ...] = ()  # the whole values that it is one of
    spread: Spread | None = None  # how the probability divides among them; None if they are not known

    @property
    def whole_values(self) -> tuple[tuple[str, float], ...]:
        """(value, probability) of the values that it can have, most likely first; empty if they are not known."""
        if self.spread is None:
            return ()
        return tuple(sorted(zip(self.choices, self.spread.probabilities, strict=True), key=lambda each: -each[1]))

    @property
    def outside(self) -> bool:
        """Whether it is not one of its allowed values."""
        return bool(self.choices) and self.complete and self.text not in self.choices


@dataclass(frozen=True)
class JsonReading:
    """The fields of a JSON answer."""

    fields: tuple[Field, ...]  # in reading order, up to the fault if there is one
    keys: tuple[Field, ...]
    problem: str = ""  # where and why it is not JSON, or what readers may take otherwise; "" if nothing is wrong


def fields_of(completion: Completion, choices: Choices | None = None) -> JsonReading:
    """The fields of an answer's first JSON object or array.

    choices: the values that fields can have. A path such as "orders[].status" is of all items, a bare name such as
    "status" of any field with that name, wherever it is. Raises InvalidRequest if they are not usable.
    """
    known = whole_values(choices or {})
    tokens = completion.generated
    rows = np.flatnonzero(answer_mask(tokens) | (tokens.kinds == TokenKind.FORCED)).astype(np.int32)
    cells = split(completion.pieces, tokens.refs[rows])
    found = json_in(cells.text)
    if found is None:
        return JsonReading((), (), "The answer has no JSON object or array.")
    reader = _Reader(completion, rows, cells, known)
    return JsonReading(
        tuple(reader.fields(found.values)), tuple(reader.fields(found.keys)), _problem(found, cells, completion)
    )


class _Reader:
    """Turns places in the text into fields."""

    def __init__(self, completion: Completion, rows: Ints, cells: Cells, known: Mapping[str, tuple[str, ...]]) -> None:
        tokens = completion.generated
        forced = tokens.kinds[rows] == TokenKind.FORCED
        self.tokens, self.rows, self.cells, self.known = tokens, rows, cells, known
        self.logprobs: list[float] = np.where(forced, np.nan, tokens.logprobs[rows]).astype(np.float64).tolist()
        self.resolved = 0  # fields whose whole values were looked at

    def fields(self, found: Sequence[Found]) -> list[Field]:
        starts = np.array([each.start for each in found], np.int64)
        ends = np.array([each.end + (each.start == each.end) for each in found], np.int64)
        # A token without text begins where the next one does and belongs to no value.
        first = self.cells.first[np.searchsorted(self.cells.starts, starts, "right") - 1]
        last = self.cells.first[np.minimum(np.searchsorted(self.cells.starts, ends, "left"), len(self.cells))]
        return [
            self._field(each, begin, max(begin, end))
            for each, begin, end in zip(found, first.tolist(), last.tolist(), strict=True)
        ]

    def _field(self, found: Found, first: int, last: int) -> Field:
        """first, last: places among the answer's rows."""
        raw = self.cells.text[found.start : found.end]
        begin = int(self.rows[first]) if first < len(self.rows) else len(self.tokens)
        text, value = _value(found, raw)
        logprobs = self.logprobs[first:last]
        missing = not logprobs or any(map(math.isnan, logprobs))
        lowest = -1 if missing else int(self.rows[first + logprobs.index(min(logprobs))])
        choices, kind = self._choices(found)
        return Field(
            path=found.path,
            kind=kind,
            text=text,
            value=value,
            first=begin,
            last=int(self.rows[last - 1]) + 1 if last > first else begin,
            logprob=math.nan if missing else sum(logprobs),
            lowest=lowest,
            lowest_text="" if lowest < 0 else self.tokens.pieces.text_of(int(self.tokens.refs[lowest])),
            alternatives=() if lowest < 0 else self._alternatives(lowest),
            complete=found.complete,
            repeated=found.repeated,
            choices=choices,
            spread=None if missing or not choices else self._spread(found, first, choices),
        )

    def _choices(self, found: Found) -> tuple[tuple[str, ...], Kind]:
        if found.kind in (Kind.KEY, Kind.EMPTY) or self.resolved >= MOST_RESOLVED:
            return (), found.kind
        choices = values_at(found.path, self.known)
        if choices:
            self.resolved += 1
            return choices, Kind.ENUMERATION
        if found.kind is Kind.TRUTH:
            self.resolved += 1
            return ("true", "false"), found.kind
        return (), found.kind

    def _spread(self, found: Found, first: int, choices: tuple[str, ...]) -> Spread:
        cell = int(np.searchsorted(self.cells.starts, found.start, "right")) - 1
        before = self.cells.text[int(self.cells.starts[cell]) : found.start]
        return spread_of(self.tokens, self.rows[first:], choices, before, quoted=found.kind is Kind.STRING)

    def _alternatives(self, row: int) -> tuple[tuple[str, float], ...]:
        refs, logprobs = self.tokens.top_refs[row].tolist(), self.tokens.top_logprobs[row].tolist()
        chosen = int(self.tokens.refs[row])
        listed = [(logprob, ref) for ref, logprob in zip(refs, logprobs, strict=True) if ref >= 0 and ref != chosen]
        listed.sort(key=lambda each: -each[0])
        return tuple(
            (self.tokens.pieces.text_of(ref), math.exp(logprob)) for logprob, ref in listed[:_MOST_ALTERNATIVES]
        )


def _value(found: Found, raw: str) -> tuple[str, Any]:
    """A field's text and value."""
    if encodable(raw) != raw:  # invalid bytes
        raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if found.kind in (Kind.STRING, Kind.KEY):
        text = decoded_string(raw) if found.complete else None
        return (raw, raw) if text is None else (text, text)
    if found.kind is Kind.EMPTY:
        return ("{}", {}) if raw == "}" else ("[]", [])
    try:
        return raw, json.loads(raw)
    except ValueError:  # cut off, or an integer of thousands of digits
        return raw, float(raw) if found.kind is Kind.NUMBER and found.complete else raw


def _problem(found: Scan, cells: Cells, completion: Completion) -> str:
    """What is wrong, in sentences."""
    said = []
    if found.fault is not None and found.fault.cut:
        why = _ENDED.get(completion.ended, "")
        said.append(f"The answer ends {found.fault.what}, {_after(found.fault, cells)}{': ' * bool(why)}{why}.")
    elif found.fault is not None:
        said.append(f"{found.fault.what}, {_after(found.fault, cells)}. The fields before that are read.")
    said += [f"{each.what}, {_after(each, cells)}." for each in found.notes[:_MOST_NOTES]]
    more = len(found.notes) - _MOST_NOTES
    return " ".join(said) + (f" {more:,} more problems like these." if more > 0 else "")


def _after(fault: Fault, cells: Cells) -> str:
    count = int(cells.first[np.searchsorted(cells.starts, fault.place, "left")])
    return f"after {count:,} token{'s' * (count != 1)}"


def table(fields: Sequence[Field]) -> list[dict[str, str | int | float]]:
    """A row for each field, as plain values. Texts are shortened, and hidden characters in them are code points.

    logprob in nats, probability from 0 to 1; NaN if unscored. "lowest" is the least likely token.
    """
    return [
        {
            "field": _shown(each.path),
            "kind": str(each.kind),
            "value": _shown(each.text),
            "tokens": each.last - each.first,
            "logprob": each.logprob,
            "probability": math.exp(each.logprob),
            "lowest": _shown(each.lowest_text),
            "alternatives": ", ".join(f"{_shown(text)} {percent(share)}" for text, share in each.alternatives),
            "values": ", ".join(f"{_shown(text)} {percent(share)}" for text, share in each.whole_values),
            "note": "; ".join(_notes(each)),
        }
        for each in fields
    ]


def _notes(field: Field) -> Iterator[str]:
    if not field.complete:
        yield "cut off"
    if field.repeated:
        yield "the key occurs more than once"
    if field.outside:
        yield "not one of its allowed values"


def _shown(text: str) -> str:
    return marked(beginning(text, _LONGEST_SHOWN))
