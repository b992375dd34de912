"""Find the JSON documents in a file or in pasted text, however it was saved.

There may be one document or several, one per line or one after another; a JSON array; server-sent events; the frames of
an AWS event stream; or what Python prints. A code fence, HTTP headers or log text may surround them.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field, replace

import msgspec
from botocore.eventstream import EventStreamBuffer, ParserError

from lib.errors import BadResponse
from lib.wire.embedded_bytes import decode_embedded
from lib.wire.encodings import as_utf8, is_utf8, unpacked
from lib.wire.foreign_formats import no_json, refuse_text
from lib.wire.json_fields import standard
from lib.wire.python_repr import unquoted
from lib.wire.scan import is_json, values
from lib.wire.top_level import TopLevel, top_level_of

MOST_DOCUMENTS = 100_000
_DEEPEST = 4
_BLOCK = 65_536  # bytes
_DONE = b"[DONE]"
# A data line of a server-sent event that is spread over several lines.
_SPLIT_EVENT = re.compile(rb"(?m)^data:(?![ \t]*(?:\{.*\}|\[DONE\])?[ \t]*\r?$)")
# HTTP headers whose values are JSON.
_HEADER = re.compile(rb"(?i)^[<>]?\s*(?:nel|report-to|server-timing):\s*$")
# Between objects: the rest of a response whose beginning is missing.
_TAIL = re.compile(rb"""["'](?:generation|choices|(?:token_|top_)?logprobs)\\*["']\s*:\s*[\[{"'\\]""")
_DOUBLED_QUOTES = re.compile(rb'"(\{""(?:[^"]|"")*+)"?')


@dataclass(frozen=True)
class Document:
    """One JSON document of a file."""

    data: bytes  # JSON as UTF-8; b"" if it can't be read
    place: str = ""  # where it is in the file, such as "Line 3"; "" if it is the only one
    stream: int | None = None  # number of the stream it is known to belong to; None if it may be a whole response
    problem: BadResponse | None = None  # why it can't be read
    cut: bool = False  # whether the file ends within it
    top: TopLevel | None = field(default=None, repr=False, compare=False)  # of `data`; None if not read yet


def documents(data: bytes) -> list[Document]:
    """The documents in a file. Raises BadResponse if there is none."""
    data = unpacked(data)
    if _is_event_stream(data) and (frames := _frames(data)):
        return frames
    text = as_utf8(data).strip(b" \t\r\n\x00\x1a")
    if not text:
        raise BadResponse("There is nothing in it.", "Paste the whole response, from its first { to its last }.")
    return _documents(text, 0)


def _documents(text: bytes, depth: int) -> list[Document]:
    if text.startswith(b"{") and (top := top_level_of(text)) is not None:
        return [Document(text, top=top)]
    inner = _joined_strings(text)
    if inner is not None and b"{" in inner and depth < _DEEPEST:
        return _documents(inner.strip(), depth + 1)
    if b'"{""' in text:
        text = _DOUBLED_QUOTES.sub(lambda cell: cell[1].replace(b'""', b'"'), text)
    found = _scanned(_with_joined_events(text) if _SPLIT_EVENT.search(text) else text)
    if not found:
        raise _no_documents(text)
    return [replace(found[0], place="")] if len(found) == 1 else found


def _joined_strings(text: bytes) -> bytes | None:
    """Join a list of strings or of byte values, or string literals on lines of their own; None for other text."""
    if text.startswith(b"[") and (inner := decode_embedded(text)) != text:
        return inner
    if not text.startswith(b'["'):
        return unquoted(text, 4 * MOST_DOCUMENTS)
    if text.count(b'",') > 4 * MOST_DOCUMENTS:
        raise too_many()
    try:
        return "\n".join(msgspec.json.decode(text, type=list[str])).encode("utf-8", "surrogatepass")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _with_joined_events(text: bytes) -> bytes:
    """Put each server-sent event on one line by joining its data lines."""
    lines: list[bytes] = []
    data = whole = False  # whether the previous line was a data line, and ended an event
    for line in text.splitlines():
        content = line.removeprefix(b"data:").strip()
        own = line.startswith(b"data:")
        if own and data and not (whole and content.startswith((b"{", b"["))):
            lines.append(b" " + content)
        else:
            lines.append(b"\n" + line)
        data, whole = own, content.endswith((b"}", _DONE))
    return b"".join(lines)[1:]


def _scanned(text: bytes) -> list[Document]:
    """The objects in a text, each placed by its line, or in a list by its number."""
    found: list[Document] = []
    listed = text.startswith(b"[")
    stream = end = 0
    broken, headless = False, 0  # whether the previous value was broken; line of the last record without a beginning
    for value in values(text):
        if len(found) >= MOST_DOCUMENTS:
            raise too_many()
        if not broken and (rest := _TAIL.search(text, end, value.start)):
            headless = value.line - text.count(b"\n", rest.start(), value.start)
            found.append(_headless(headless))
        stream += text.count(_DONE, end, value.start)
        end, broken = value.end, value.problem is not None
        within = value.line == headless and not _TAIL.search(value.data)
        if within or _HEADER.match(value.lead):
            continue
        place = f"Entry {len(found) + 1}" if listed else f"Line {value.line}"
        streamed = stream if value.lead.rstrip().endswith(b"data:") else None
        found.append(Document(value.data, place, streamed, value.problem, value.cut))
    if found and not broken and (rest := _TAIL.search(text, end)):
        found.append(_headless(text.count(b"\n", 0, rest.start()) + 1))
    return found


def _headless(line: int) -> Document:
    problem = BadResponse("The beginning of this record is missing.", "Paste the whole response, from its first { on.")
    return Document(b"", f"Line {line}", problem=problem)


def _no_documents(text: bytes) -> BadResponse:
    """The error for a text without any object. Raises a more specific error if one applies."""
    if text.startswith((b"[", b'"')) and is_json(text):
        return single_value()
    if b"data:" in text and _DONE in text:
        return BadResponse(
            "These are server-sent events without any JSON.", "Save the stream again, with its data lines."
        )
    refuse_text(text)
    if text.startswith((b"{", b"[")):
        standard(text)  # raises an error that says what is wrong
        return single_value()
    if not is_utf8(text):
        return BadResponse("This is not text in UTF-8.", "Open the response as JSON, saved as UTF-8.")
    return no_json()


class TooMany(BadResponse):
    """A file has more documents than Candor reads."""


def too_many() -> TooMany:
    """The error for a file with more documents than Candor reads."""
    return TooMany(f"The file holds more than {MOST_DOCUMENTS:,} documents.", "Cut it into several files.")


def _is_event_stream(data: bytes) -> bool:
    """Whether the data begins with the prelude of a frame: two lengths and their checksum."""
    return len(data) >= 16 and bool(struct.unpack(">I", data[8:12])[0] == zlib.crc32(data[:8]))


def _frames(data: bytes) -> list[Document]:
    """The events of an event stream; empty if it was saved as text, which changes its bytes. Raises BadResponse."""
    buffer = EventStreamBuffer()
    found: list[Document] = []
    number = 0
    try:
        for start in range(0, len(data), _BLOCK):
            buffer.add_data(data[start : start + _BLOCK])
            for event in buffer:
                number += 1
                if event.payload.startswith(b"{"):
                    found.append(Document(event.payload, f"Event {number}", 0))
            if len(found) > MOST_DOCUMENTS:
                raise too_many()
    except ParserError as error:
        damaged = BadResponse("The event stream is damaged.", "Save the stream again.")
        if not found and is_utf8(data):
            return []
        if not found:
            raise damaged from error
        found.append(Document(b"", f"Event {number + 1}", 0, damaged))
    if not found:
        raise BadResponse("The event stream ends before its first event.", "Save the stream again.")
    return found


def single_value() -> BadResponse:
    """The error for JSON that isn't an object."""
    return BadResponse(
        "This is JSON, but a list or a single value, not a response.",
        "A response begins with {. Of many, put each on a line of its own.",
    )
