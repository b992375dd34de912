"""Find the JSON objects in a text, whatever surrounds them, in time linear in its length."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from lib.errors import BadResponse
from lib.segmentation.char_classes import encodable
from lib.wire import python_repr
from lib.wire.json_fields import BROKEN, ENDS_EARLY, INFINITY, NOT_JSON, PASTE_WHOLE, TOO_DEEP

_RAW = msgspec.json.Decoder(msgspec.Raw)
_SPACE = rb"(?:[ \t\r\n]|\xc2\xa0)*"
_START = re.compile(rb"\{" + _SPACE + rb"""(?:["'}]|[bu]'|\\+")""")
_NAMED_FIELD = re.compile(rb"\{" + _SPACE + rb"""(?:\\*["']|[bu]')[\w@$-]""")
_ESCAPED = re.compile(rb"\{" + _SPACE + rb'\\+"')
_STRING = re.compile(rb'(?:[^"\\\n]|\\.)*+')
_RESPELLED = re.compile(rb'"(?:[^"\\\n]|\\.)*+"?|-?\bInfinity\b|\bNaN\b|\xc2\xa0')
# The beginning of a value in a spelling that only Python uses.
_PYTHON = re.compile(rb"""['(<]|[bu]["']|True\b|False\b|None\b|nan\b|-?inf\b|(?:[\w.]*\.)?[A-Za-z_]\w*\(""")
_UNINDENTED = re.compile(rb"\n(?=[^\s\"'}\]\xc2])")  # a line that isn't indented, unlike the lines within a value
_CONSTANT = re.compile(rb"NaN|-?Infinity")
_SURROGATE = re.compile(rb"\\u[dD]")  # msgspec reports a lone one as the end of the text
_POSITION = re.compile(r"\(byte (\d+)\)")
_LITERAL = re.compile(rb"b?'(\{(?:[^'\\\n]|\\.)*+)'?")
_SHELL = re.compile(rb"(?:-d|--\w[\w-]*)[ =]\$?\Z")  # precedes an argument that the shell passes on unchanged
_LEAD = 200  # bytes
_DEEPEST = 4


@dataclass(frozen=True)
class Value:
    """An object in a text."""

    data: bytes  # JSON as UTF-8; b"" if it can't be read
    start: int  # bytes from the start of the text
    end: int  # bytes from the start of the text
    line: int  # from 1
    lead: bytes = b""  # the text before it on its line, at most 200 bytes
    problem: BadResponse | None = None  # why it can't be read
    cut: bool = False  # whether the text ends within it


def is_json(text: bytes) -> bool:
    """Whether a text is one JSON value."""
    try:
        _RAW.decode(text)
    except (*BROKEN, RecursionError):
        return False
    return True


def values(text: bytes, depth: int = 0) -> Iterator[Value]:
    """Yield each object in a text as soon as it is found. depth: how many strings this text is nested in."""
    return _Scan(text, depth).values()


@dataclass
class _Read:
    """The result of reading one object."""

    data: bytes = b""  # as in `Value`
    end: int = 0  # where to continue; 0 to continue after `at`
    at: int = 0  # offset of the first byte that can't be read
    problem: BadResponse | None = None  # as in `Value`
    cut: bool = False  # as in `Value`


class _Scan:
    def __init__(self, text: bytes, depth: int) -> None:
        self._text, self._view, self._depth = text, memoryview(text), depth
        self._line = 0  # what `_line_after` last returned
        self._unclosed = 0  # malformed objects that begin before here are known to have no end
        self._literal_end = 0  # the end of the last literal that was tried
        self._wasted = self._printed = 0  # bytes skipped as damaged, and bytes parsed as Python
        self._newline = b"\n" if b"\n" in text else b"\r"

    def values(self) -> Iterator[Value]:
        line, counted, place = 1, 0, 0
        while found := _START.search(self._text, place):
            start = found.start()
            read = self._at(start)
            line += self._text.count(self._newline, counted, start)
            counted = start
            end = read.end or self._resume(start, read.at)
            if read.data or (read.problem and _NAMED_FIELD.match(self._text, start)):
                low = max(place, start - _LEAD)
                lead = self._text[max(low, self._text.rfind(self._newline, low, start) + 1) : start]
                yield Value(read.data, start, end, line, lead, read.problem, read.cut)
            if self._wasted > 4 * len(self._text) + 1_000_000:
                problem = BadResponse("From here on, too much of the text is damaged to be read.", PASTE_WHOLE)
                yield Value(b"", start, len(self._text), line, b"", problem)
                return
            place = end

    def _at(self, start: int) -> _Read:
        """Read the object that begins here, in any spelling."""
        if _ESCAPED.match(self._text, start):
            return self._escaped(start)
        if self._text[start + 1 : start + 3] in (b"b'", b"u'"):
            return self._python(start)
        if quoted := self._quoted(start):
            return quoted
        read = self._json(start)
        if read.problem is None:
            return read
        if _PYTHON.match(self._text, read.at) or _PYTHON.match(self._text, read.at - 1):
            return self._python(start)
        return self._repaired(start, read)

    def _json(self, start: int) -> _Read:
        try:
            _RAW.decode(self._view[start:])
        except RecursionError:
            line = self._text.find(b"\n", start)
            return _Read(at=len(self._text) if line < 0 else line, problem=BadResponse(*TOO_DEEP))
        except BROKEN as error:
            return self._from_error(start, str(error))
        return _Read(self._text[start:].rstrip(), len(self._text))

    def _from_error(self, start: int, error: str) -> _Read:
        """Interpret a decoding error: other text follows the object, or something in the object is wrong."""
        position = _POSITION.search(error)
        if position is None:
            return _Read(at=len(self._text), problem=BadResponse(*ENDS_EARLY), cut=True)
        at = start + int(position[1])
        if "trailing characters" in error:
            end = self._text.rindex(b"}", start, at - 1) + 1
            return _Read(self._text[start:end], end)
        if self._text.startswith(b"Infinity", at) and self._text[at - 1 : at] != b"-":
            return _Read(at=at, problem=BadResponse(*INFINITY))
        if self._text[at : at + 1] in (b"\n", b"\r"):
            cause = "A line break cuts this JSON in the middle of a string."
            return _Read(at=at, problem=BadResponse(cause, "Copy it from the file rather than from a terminal."))
        return _Read(at=at, problem=BadResponse(*NOT_JSON))

    def _repaired(self, start: int, read: _Read) -> _Read:
        """Read a malformed object with Python's constants respelled. If that fails, only find its end."""
        if start < self._unclosed or (read.cut and not _SURROGATE.search(self._text, start)):
            return read
        end = python_repr.end_of(self._text, start, self._line_after(start))
        if end < 0 and _CONSTANT.match(self._text, read.at):
            end = python_repr.end_of(self._text, start, len(self._text))
        if end < 0:
            self._unclosed = self._line_after(start)
            return read
        data = _respelled_object(self._text[start:end])
        return _Read(data, end) if is_json(data) else replace(read, end=end, cut=False)

    def _line_after(self, start: int) -> int:
        """The start of the next unindented line, which ends any object that began at `start`."""
        if self._line <= start:
            line = _UNINDENTED.search(self._text, start + 1)
            self._line = line.start() if line else len(self._text)
        return self._line

    def _python(self, start: int) -> _Read:
        """Read a dictionary as Python prints it."""
        stop = self._line_after(start)
        end = python_repr.end_of(self._text, start, stop)
        if end < 0:
            problem = BadResponse("This is not JSON but Python output, and it ends too early.", PASTE_WHOLE)
            return _Read(at=stop, problem=problem, cut=stop == len(self._text))
        text = self._text[start:end]
        try:
            data = python_repr.respelled(text)
            if not is_json(data):
                self._printed += len(text)
                data = python_repr.as_json(text, self._printed)
        except BadResponse as error:
            return _Read(end=end, problem=error)
        return _Read(data if is_json(data) else _respelled_object(data), end)

    def _escaped(self, start: int) -> _Read:
        r"""Read an object copied out of a string, with its quotes escaped as \"."""
        match = _STRING.match(self._text, start)
        end = start + 1 if match is None else match.end()
        try:
            inner = str(json.loads(b'"' + self._text[start:end] + b'"')).encode("utf-8", "surrogatepass")
        except ValueError:
            return _Read(end=end, problem=BadResponse(*NOT_JSON))
        first = None if self._depth >= _DEEPEST else next(values(inner, self._depth + 1), None)
        return _Read(end=end) if first is None else _Read(first.data, end, problem=first.problem, cut=first.cut)

    def _quoted(self, start: int) -> _Read | None:
        r"""Read an object inside a Python string or bytes literal that contains escapes; None for anything else."""
        match = _LITERAL.match(self._text, max(start - 2, 0)) or _LITERAL.match(self._text, max(start - 1, 0))
        if start < self._literal_end or match is None or match.start(1) != start or b"\\" not in match[0]:
            return None
        self._literal_end = match.end()
        if _SHELL.search(self._text, max(start - _LEAD, 0), match.start()):
            return None
        try:
            value = ast.literal_eval(match[0].decode("utf-8", "replace"))
        except (SyntaxError, ValueError):
            return None
        inner = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        return _Read(inner.strip(), match.end()) if is_json(inner) else None

    def _resume(self, start: int, at: int) -> int:
        """Where to continue after text that can't be read: at the next unindented line, or where reading stopped."""
        self._wasted += at - start
        line = _UNINDENTED.search(self._text, start + 1, at)
        return line.end() if line else max(at, start + 1)


def _respelled_object(text: bytes) -> bytes:
    """Respell an object's constants and strings with `_respelled`."""
    pieces: list[bytes] = []
    done = 0
    for found in _RESPELLED.finditer(text):
        if (new := _respelled(found)) != found[0]:
            pieces += (text[done : found.start()], new)
            done = found.end()
    return b"".join([*pieces, text[done:]]) if pieces else text


def _respelled(found: re.Match[bytes]) -> bytes:
    r"""Python's constants in JSON's spelling, and strings without lone surrogates, whose escapes msgspec rejects."""
    token = found[0]
    if token == b"NaN":
        return b"null"
    if token == b"-Infinity":
        return b"-9999.0"
    if token == b"\xc2\xa0":
        return b" "
    if b"\\u" not in token:
        return token
    try:
        return json.dumps(encodable(json.loads(token))).encode()
    except ValueError:
        return token
