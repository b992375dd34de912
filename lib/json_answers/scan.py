"""Where the values and keys of JSON are in a text, up to its end or its first fault.

The standard library tells no offsets, and reads nothing of JSON that is cut off. One pass, without recursion: nesting
and the number of values are bounded, and so is the length of a path.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum

from lib.json_answers.paths import inside, item, named, quoted

MOST_DEEP = 200  # objects and arrays inside each other
MOST_VALUES = 20_000  # objects and arrays included

_SPACE = re.compile(r"[ \t\r\n]*+")
_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_RUN = re.compile(r'[^ \t\r\n,:{}\[\]"]++')  # what is neither structure nor a string
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|NaN|-?Infinity")
_BEGINS_NUMBER = re.compile(r"-|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]*+)?(?:[eE][-+]?)?")
_WORDS = ("true", "false", "null")  # values that are written as words
_CONSTANTS = (*_WORDS, "NaN", "Infinity", "-Infinity")
_ELSEWHERE = {"True": "true", "False": "false", "None": "null", "nil": "null", "undefined": "null"}
_CLOSES = {"{": "}", "[": "]"}


class Kind(StrEnum):
    """What a value is."""

    STRING = "string"
    NUMBER = "number"  # NaN and Infinity included, which models write though JSON has none
    TRUTH = "boolean"
    NULL = "null"
    EMPTY = "empty"  # an object or array without anything in it
    ENUMERATION = "enumeration"  # one of a known set of values
    KEY = "key"


@dataclass(frozen=True)
class Found:
    """A value or a key, by its place in the text."""

    path: str  # such as "orders[2].price"; of a key, that of its value
    kind: Kind
    start: int  # offset of its first character; of strings and keys, after the quote
    end: int  # offset after its last character; of strings and keys, of the closing quote
    complete: bool = True  # whether it cannot continue after the end of the text
    repeated: bool = False  # whether an earlier key of the same object is the same


@dataclass(frozen=True)
class Fault:
    """Where JSON stops being JSON, or something in it that readers may take otherwise."""

    what: (
        str  # of a cut, where the text ends, as "inside the string of “a”"; otherwise a sentence without its full stop
    )
    place: int  # offset
    cut: bool = False  # whether the text ends there


@dataclass
class Scan:
    """What of a text is JSON."""

    start: int  # offset of the opening bracket
    end: int = 0  # offset after the closing bracket, or of the fault
    values: list[Found] = field(default_factory=list)  # strings, numbers, words, empty objects and arrays
    keys: list[Found] = field(default_factory=list)
    fault: Fault | None = None  # None if it is complete
    notes: list[Fault] = field(default_factory=list)  # what was read nevertheless


@dataclass
class _Open:
    """An object or array that is not closed yet."""

    bracket: str
    path: str
    count: int = 0  # values so far
    keys: set[str] = field(default_factory=set)


class _State(StrEnum):
    """What may come next."""

    VALUE = "a value"
    FIRST_VALUE = "a value or ]"
    KEY = "a key"
    FIRST_KEY = "a key or }"
    COLON = "a colon"
    AFTER = "a comma or the closing bracket"


def scan(text: str, start: int) -> Scan:
    """Read the object or array that begins at `start`, where there must be a bracket."""
    return _Scanner(text, start).run()


class _Scanner:
    def __init__(self, text: str, start: int) -> None:
        self.text, self.at = text, start
        self.found = Scan(start)
        self.open: list[_Open] = []
        self.state: _State | None = _State.VALUE
        self.path = ""  # of the value that comes next, or was last
        self.repeated = False  # whether its key was there before
        self.read = 0  # values, objects and arrays included

    def run(self) -> Scan:
        steps = {
            _State.VALUE: self._value,
            _State.FIRST_VALUE: self._value,
            _State.KEY: self._key,
            _State.FIRST_KEY: self._key,
            _State.COLON: self._colon,
            _State.AFTER: self._after,
        }
        while self.state is not None:
            self.at = after(_SPACE, self.text, self.at)
            if self.at == len(self.text):
                self._stop(self._unfinished(), cut=True)
            else:
                steps[self.state]()
        self.found.end = self.at
        return self.found

    def _value(self) -> None:
        character = self.text[self.at]
        if self.open and self.open[-1].bracket == "[" and (character != "]" or self.state is _State.VALUE):
            self.path = item(self.open[-1].path, self.open[-1].count)
        if character == "]" and self.state is _State.FIRST_VALUE:
            self._close_empty()
            return
        self.read += 1
        if self.read > MOST_VALUES:
            self._stop(f"Only the first {MOST_VALUES:,} values are read")
        elif character in _CLOSES:
            if len(self.open) == MOST_DEEP:
                self._stop(f"Only {MOST_DEEP} levels of nesting are read")
                return
            self.open.append(_Open(character, self.path))
            self.repeated = False
            self.state = _State.FIRST_KEY if character == "{" else _State.FIRST_VALUE
            self.at += 1
        elif character == '"':
            self._string(self.path, Kind.STRING)
            self._valued()
        elif character in ",:]}":
            trailing = character == "]" and self.open[-1].bracket == "["
            self._stop(
                "There is a trailing comma before ]" if trailing else f"The value of {named(self.path)} is missing"
            )
        else:
            self._number_or_word()

    def _number_or_word(self) -> None:
        end = after(_RUN, self.text, self.at)
        run = self.text[self.at : end]
        last = end == len(self.text)
        if run in _WORDS or _NUMBER.fullmatch(run):
            self._add(_kind(run), end, complete=not last or run in _CONSTANTS)
        elif last and (_BEGINS_NUMBER.fullmatch(run) or any(each.startswith(run) for each in _CONSTANTS)):
            self._add(_kind(next((each for each in _CONSTANTS if each.startswith(run)), run)), end, complete=False)
            self._stop(f"inside the value of {named(self.path)}", cut=True)
        else:
            instead = f": JSON spells it {_ELSEWHERE[run]}" if run in _ELSEWHERE else ""
            self._stop(f"{quoted(run)} is not a JSON value{instead}")

    def _add(self, kind: Kind, end: int, *, complete: bool) -> None:
        self.found.values.append(Found(self.path, kind, self.at, end, complete, self.repeated))
        self.at = end
        self._valued()

    def _string(self, path: str, kind: Kind) -> str:
        """Read the string or key that begins here. Returns its characters, escapes decoded."""
        start = self.at + 1
        match = _STRING.match(self.text, start)
        end = len(self.text) if match is None else match.end() - 1
        raw = self.text[start:end]
        decoded = decoded_string(raw)
        if kind is Kind.KEY:
            frame = self.open[-1]
            text = raw if decoded is None else decoded
            path, self.repeated = inside(frame.path, text), text in frame.keys
            frame.keys.add(text)
            self.path = path
            if self.repeated:
                self.found.notes.append(Fault(f"The key {named(path)} occurs more than once", start))
            self.found.keys.append(Found(path, kind, start, end, match is not None, self.repeated))
        else:
            self.found.values.append(Found(path, kind, start, end, match is not None, self.repeated))
        if match is None:
            self.at = end
            what = "the string of" if kind is Kind.STRING else "the key"
            self._stop(f"inside {what} {named(path)}", cut=True)
            return raw
        if decoded is None:
            self.found.notes.append(Fault(f"{named(path)} has an escape that JSON does not know", start))
        self.at = end + 1
        return raw if decoded is None else decoded

    def _key(self) -> None:
        character = self.text[self.at]
        if character == "}" and self.state is _State.FIRST_KEY:
            self._close_empty()
        elif character == '"':
            self._string("", Kind.KEY)
            if self.state is not None:
                self.state = _State.COLON
        elif character == "}":
            self._stop("There is a trailing comma before }")
        else:
            self._stop(f"A key of {named(self.open[-1].path)} is not in double quotes")

    def _colon(self) -> None:
        if self.text[self.at] != ":":
            self._stop(f"A colon is missing after the key {named(self.path)}")
            return
        self.at += 1
        self.state = _State.VALUE

    def _after(self) -> None:
        character, frame = self.text[self.at], self.open[-1]
        if character == ",":
            self.state = _State.KEY if frame.bracket == "{" else _State.VALUE
            self.at += 1
        elif character == _CLOSES[frame.bracket]:
            self._close()
        elif character in "}]":
            self._stop(f"{character} closes {named(frame.path)}, where {_CLOSES[frame.bracket]} is expected")
        else:
            self._stop(f"A comma is missing after {named(self.path)}, or a quote inside it is not escaped")

    def _close_empty(self) -> None:
        path = self.open[-1].path
        self.found.values.append(Found(path, Kind.EMPTY, self.at, self.at + 1))
        self._close()

    def _close(self) -> None:
        self.path = self.open.pop().path
        self.at += 1
        self._valued()

    def _valued(self) -> None:
        """A value is complete: what may come after it."""
        if self.state is None:
            return
        self.repeated = False
        if self.open:
            self.open[-1].count += 1
        self.state = _State.AFTER if self.open else None

    def _stop(self, what: str, *, cut: bool = False) -> None:
        self.found.fault = Fault(what, self.at, cut)
        self.state = None

    def _unfinished(self) -> str:
        """Where a text ends that has no more than white space left."""
        inner = named(self.open[-1].path)
        if self.state is _State.COLON or (self.state is _State.VALUE and self.open[-1].bracket == "{"):
            return f"before the value of {named(self.path)}"
        return f"before {inner} is closed"


def after(pattern: re.Pattern[str], text: str, at: int) -> int:
    """The offset after what a pattern matches at an offset; the offset itself if it matches nothing."""
    match = pattern.match(text, at)
    return at if match is None else match.end()


def _kind(run: str) -> Kind:
    return Kind.NULL if run == "null" else Kind.TRUTH if run in _WORDS else Kind.NUMBER


def decoded_string(raw: str) -> str | None:
    """A string's characters from what is between its quotes; None if JSON does not know an escape."""
    if "\\" not in raw:
        return raw
    try:
        decoded: str = json.loads(f'"{raw}"', strict=False)
    except ValueError:
        return None
    return decoded
