"""The messages of an event stream, as AWS clients parse them."""

from __future__ import annotations

import base64
import json
import secrets
import string
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from lib.serve.service_errors import Refusal

_PADDING = string.ascii_letters + string.digits
_STRING = 7  # the type of a header's value


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message: lengths, headers and payload, each secured by a CRC-32, all numbers big-endian."""
    packed = b"".join(
        bytes([len(name)]) + name.encode() + struct.pack(">BH", _STRING, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))


def chunk_frame(data: bytes) -> bytes:
    """A piece of a response. As at the service, padding of random length hides how long the text is."""
    padding = _PADDING[: 1 + secrets.randbelow(len(_PADDING))]
    payload = json.dumps({"bytes": base64.b64encode(data).decode(), "p": padding}).encode()
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, payload)


def exception_frame(refusal: Refusal) -> bytes:
    """An error in the midst of a stream; nothing follows it."""
    headers: dict[str, Any] = {
        ":exception-type": refusal.event_type,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps(refusal.body).encode())
