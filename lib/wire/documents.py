"""The JSON documents in a file or in pasted text, however it was saved.

One document or several, one per line or one after another; a JSON array; server-sent events; the frames of an AWS event
stream; what Python prints; with a code fence, HTTP headers or log text around it.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from botocore.eventstream import EventStreamBuffer, ParserError

from lib.errors import BadReply
from lib.wire.encodings import as_utf8
from lib.wire.replies import BROKEN, standard

MOST_DOCUMENTS = 100_000
_MOST_UNUSUAL = 25_000_000  # bytes of text that has to be built as objects to be cut up
_MOST_PRINTED = 5_000_000  # bytes of Python's own spelling, which takes far more memory to read
_DEEPEST = 4
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_RAW = msgspec.json.Decoder(msgspec.Raw)
_ERROR = re.compile(r"An error occurred \((\w+)\).*", re.DOTALL)
_FRAME = re.compile(rb'\{"bytes":"[A-Za-z0-9+/=]*"(?:,"p":"[A-Za-z0-9]*")?\}')
_EVENT = re.compile(rb"(?m)^data:")
_FENCE = re.compile(rb"\A```\w*\r?\n(.*?)\r?\n?```\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Document:
    """One JSON document of a file.

    data: JSON as UTF-8. place: where it is, such as "Line 3"; "" for the only one.
    stream: which stream it is known to be a part of, None where it may be a whole response.
    """

    data: bytes
    place: str = ""
    stream: int | None = None


def documents(data: bytes) -> list[Document]:
    """The documents in a file. Raises BadReply where there is none."""
    if _is_event_stream(data):
        return _frames(data)
    text = as_utf8(data).strip()
    if not text:
        raise BadReply("There is nothing in it.", "Paste the whole response, from its first { to its last }.")
    found = _documents(text, 0)
    if len(found) > MOST_DOCUMENTS:
        raise BadReply(f"The file holds more than {MOST_DOCUMENTS:,} documents.", "Cut it into several files.")
    return found


def _documents(text: bytes, depth: int) -> list[Document]:
    if depth > _DEEPEST:
        raise _no_json()
    if text.startswith(b"{") and _is_json(text):
        return [Document(text)]
    if text.startswith(b"[") and _is_json(text):
        return _entries(text)
    if text.startswith(b'"') and _is_json(text):
        inner = msgspec.json.decode(text, type=str).strip()
        if not inner.startswith(("{", "[", '"')):
            raise _single_value()
        return _documents(inner.encode(), depth + 1)
    lines = [(number, line) for number, raw in enumerate(text.splitlines(), 1) if (line := raw.strip())]
    if len(lines) > 1 and all(line.startswith(b"{") and line.endswith(b"}") for _, line in lines):
        return [Document(_json_of(line), f"Line {number}") for number, line in lines]
    if _EVENT.search(text):
        return _events(text)
    return _one_after_another(text) or _printed(text) or _inside(text, depth)


def _is_json(text: bytes) -> bool:
    try:
        _RAW.decode(text)
    except (*BROKEN, RecursionError):
        return False
    return True


def _entries(text: bytes) -> list[Document]:
    found = [Document(bytes(entry), f"Entry {place}") for place, entry in enumerate(_LIST.decode(text), 1)]
    if not found or not all(each.data.startswith(b"{") for each in found):
        raise _single_value()
    return [replace(each, place="") for each in found] if len(found) == 1 else found


def _json_of(line: bytes) -> bytes:
    """A line as JSON; Python may have printed it. What is neither is left for its reader to refuse."""
    if _is_json(line):
        return line
    printed = _printed(line)
    return printed[0].data if len(printed) == 1 else line


def _events(text: bytes) -> list[Document]:
    """Server-sent events: the lines of data of each, joined. "[DONE]" ends a stream."""
    found: list[Document] = []
    stream, payload, begun = 0, b"", 0
    for number, line in enumerate([*text.splitlines(), b""], 1):
        if line.startswith(b"data:"):
            begun = begun if payload else number
            payload += line.removeprefix(b"data:").strip() + b"\n"
        if payload and (not line.strip() or _is_json(payload)):
            payload = payload.strip()
            if payload.startswith(b"{"):
                found.append(Document(payload, f"Line {begun}", stream))
            stream += payload == b"[DONE]"
            payload = b""
    if not found:
        raise BadReply("These are server-sent events without any JSON.", "Save the stream again, with its data lines.")
    return found


def _one_after_another(text: bytes) -> list[Document]:
    """Documents that follow one another, in the JSON of Python's own reader; empty where it is none."""
    if not text.startswith((b"{", b"[")) or len(text) > _MOST_UNUSUAL:
        return []
    try:
        spelled = text.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise BadReply(f"The text is not UTF-8 (byte {error.start + 1:,}).", "Save it again as UTF-8.") from error
    reader, found, place = json.JSONDecoder(), [], 0
    try:
        while place < len(spelled):
            _, end = reader.raw_decode(spelled, place)
            found.append((place, spelled[place:end].encode("utf-8", "surrogatepass")))
            place = end + len(spelled[end:]) - len(spelled[end:].lstrip(" \t\r\n,")) if end < len(spelled) else end
    except ValueError:
        return []
    except RecursionError as error:
        raise too_deep() from error
    if len(found) == 1:
        data = standard(found[0][1])
        return _entries(data) if data.startswith(b"[") else [Document(data)]
    return [
        Document(data if _is_json(data) else standard(data), f"Line {spelled.count(chr(10), 0, at) + 1}")
        for at, data in found
    ]


class _Constants(ast.NodeTransformer):
    """Gives `nan` and `inf`, as Python prints them, their values."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Constant(float(node.id)), node) if node.id in ("nan", "inf") else node


def _printed(text: bytes) -> list[Document]:
    """What Python prints of a dictionary, a list of them, or bytes; empty where it is none."""
    if not text.startswith((b"{'", b"[{'", b"b'", b'b"', b"'{", b"({'")) or len(text) > _MOST_PRINTED:
        return []
    if b"<botocore." in text:
        raise BadReply(
            "This is boto3's response as Python prints it; its body was not read.",
            "Save what response['body'].read() returns.",
        )
    try:
        tree = ast.parse(text.decode("utf-8", "replace"), mode="eval")
        value = ast.literal_eval(_Constants().visit(tree))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return []
    if isinstance(value, bytes | str):
        return _documents(value.encode() if isinstance(value, str) else value.strip(), 1)
    try:
        data = json.dumps(value, default=_spelled).encode()
    except (TypeError, ValueError, RecursionError):
        return []
    data = data if _is_json(data) else standard(data)
    return _entries(data) if data.startswith(b"[") else [Document(data)]


def _spelled(value: Any) -> Any:
    """What JSON has no type for: bytes are the text they hold."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _inside(text: bytes, depth: int) -> list[Document]:
    """The documents within a code fence, behind HTTP headers, log text or the bytes of frames. Raises BadReply."""
    if fenced := _FENCE.match(text):
        return _documents(fenced[1].strip(), depth + 1)
    if frames := _FRAME.findall(text):
        return [Document(_of_frame(frame), f"Part {number}", 0) for number, frame in enumerate(frames, 1)]
    if told := _ERROR.search(text[:10_000].decode("utf-8", "replace")):
        raise BadReply(f"This is an error, not a response: {told[0][:300]}", "Open a response that has an answer.")
    first, last = text.find(b"{"), text.rfind(b"}")
    inner = text[first : last + 1]
    if first >= 0 and inner and inner != text:
        return _documents(inner, depth + 1)
    standard(text)  # says what is wrong with it
    raise _no_json()


def _is_event_stream(data: bytes) -> bool:
    """Whether it begins with a frame: its length, that of its headers, and the checksum of both."""
    return len(data) >= 16 and struct.unpack(">I", data[8:12])[0] == zlib.crc32(data[:8])


def _frames(data: bytes) -> list[Document]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    found: list[Document] = []
    try:
        for number, event in enumerate(buffer, 1):
            if event.payload.startswith(b"{"):
                found.append(Document(_of_frame(event.payload), f"Event {number}", 0))
    except ParserError as error:
        raise BadReply("The event stream is damaged.", "Save the stream again.") from error
    if not found:
        raise BadReply("The event stream ends before its first event.", "Save the stream again.")
    return found


def _of_frame(payload: bytes) -> bytes:
    return payload if b'"bytes"' not in payload else decoded_bytes(payload)


def decoded_bytes(payload: bytes) -> bytes:
    """What the "bytes" of an event hold: base64, or the JSON itself. The event itself where there is neither."""
    try:
        held = msgspec.json.decode(payload, type=dict[str, Any]).get("bytes")
        if not isinstance(held, str):
            return payload
        return held.encode() if held.lstrip().startswith("{") else base64.b64decode(held, validate=True)
    except (*BROKEN, ValueError):
        return payload


def too_deep() -> BadReply:
    """The error of JSON that nests more deeply than any reader follows."""
    return BadReply("This JSON is nested too deeply for a response.", "Open the response itself, as Bedrock sent it.")


def _single_value() -> BadReply:
    return BadReply(
        "This is JSON, but a list or a single value, not a response.",
        "A response begins with {. Of many, put each on a line of its own.",
    )


def _no_json() -> BadReply:
    return BadReply(
        "This is not JSON.", "Paste the whole response, from its first { to its last }, as Bedrock sent it."
    )
