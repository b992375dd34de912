"""Decode bytes embedded in JSON: as text, as base64, as Node's buffers or as lists of numbers."""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from lib.wire.json_fields import BROKEN

_NUMBERED = msgspec.json.Decoder(dict[int, int])
_BUFFER = re.compile(rb'\{\s*"(?:type"\s*:\s*"Buffer"|0"\s*:\s*\d|data"\s*:\s*\[)')
_LIST = re.compile(rb"\[\s*\d+\s*[,\]]")


class _Buffer(msgspec.Struct):
    data: list[int]


def decode_embedded(value: bytes) -> bytes | None:
    """The bytes embedded in a JSON value, without surrounding white space; the value itself if it embeds none.

    None for a string that can't be decoded.
    """
    try:
        if value.startswith(b'"'):
            return _of_string(str(msgspec.json.decode(value, type=str)).strip())
        if _LIST.match(value):
            return bytes(msgspec.json.decode(value, type=list[int])).strip()
        if not _BUFFER.match(value):
            return value
        if value[1:].lstrip().startswith(b'"0"'):
            numbered = _NUMBERED.decode(value)
            return bytes(numbered[each] for each in range(len(numbered))).strip()
        return bytes(msgspec.json.decode(value, type=_Buffer).data).strip()
    except (*BROKEN, ValueError, KeyError, RecursionError):
        return None if value.startswith(b'"') else value


def _of_string(text: str) -> bytes:
    """The bytes of a base64 string if they look like a response; else the string's own."""
    plain = text.encode("utf-8", "surrogatepass")
    if not text or text[0] in '{["' or "{" in text[:1000]:
        return plain
    try:
        inner = base64.b64decode(plain, validate=True).strip()
    except (binascii.Error, ValueError):
        return plain
    return inner if b"{" in inner or inner.startswith(b"\x1f\x8b") else plain
