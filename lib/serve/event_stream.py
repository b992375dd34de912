"""Write messages of AWS's event stream encoding."""

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
_STRING = 7  # the type code of a header's value


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message: lengths, headers and payload, with CRC-32 checksums. All numbers are big-endian."""
    packed = b"".join(
        bytes([len(name)]) + name.encode() + struct.pack(">BH", _STRING, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))


def chunk_frame(data: bytes) -> bytes:
    """A chunk of a response. As at the service, padding of random length hides the length of the text."""
    padding = _PADDING[: 1 + secrets.randbelow(len(_PADDING))]
    payload = json.dumps({"bytes": base64.b64encode(data).decode(), "p": padding}).encode()
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, payload)


def exception_frame(refusal: Refusal) -> bytes:
    """An error in a stream, always its last message."""
    headers: dict[str, Any] = {
        ":exception-type": refusal.event_type,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps(refusal.body).encode())
