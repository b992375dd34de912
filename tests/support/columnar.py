"""The columnar container format, read a second time from its documentation."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np


def read_by_spec(blob: bytes) -> tuple[dict[str, Any], dict[str, tuple[Any, ...]]]:
    """(header, columns by name) of a blob, read with struct and json only, as the documented layout says."""
    assert blob[:6] == b"CANDOR"
    assert blob[6:8] == b"\x01\x00"
    (length,) = struct.unpack_from("<I", blob, 8)
    header = json.loads(blob[12 : 12 + length].decode())
    letters = {"u1": "B", "u2": "H", "u4": "I", "i4": "i", "f4": "f", "f8": "d"}
    columns = {}
    for name, dtype, shape, offset, size in header["columns"]:
        start = 12 + length + offset
        assert start % 8 == 0
        assert size == int(np.prod(shape)) * int(dtype[1])
        columns[name] = struct.unpack_from(f"<{size // int(dtype[1])}{letters[dtype]}", blob, start)
    return header, columns
