"""Frames of an AWS event stream, as a service sends them."""

from __future__ import annotations

import base64
import json
import struct
import zlib


def frame(payload: bytes, event: str = "chunk", kind: str = "event") -> bytes:
    """A frame with this payload; kind: "event" or "exception"."""
    headers = b""
    for name, value in ((f":{kind}-type", event), (":content-type", "application/json"), (":message-type", kind)):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def chunk_event(chunk: bytes) -> bytes:
    """The payload of the event that carries a chunk, with its padding."""
    return json.dumps({"bytes": base64.b64encode(chunk).decode(), "p": "abcd"}, separators=(",", ":")).encode()
