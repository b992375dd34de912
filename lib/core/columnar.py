"""The columnar container format: named columns of numbers and a JSON header in one byte string.

Layout, all little-endian:

    8 bytes   b"CANDOR", format version (u8), 0
    u32       length of the header in bytes
    header    UTF-8 JSON {"kind": str, "meta": any, "columns": [[name, dtype, shape, offset, length], …]}
    columns   raw values, C order; every offset counts from the end of the header and is a multiple of 8

Reading it takes a JSON parser and typed arrays, nothing else. The browser, the run store and exported files all use it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.errors import BadFile

VERSION = 1
_LARGEST = {1: 0xFF, 2: 0xFFFF, 4: 0xFFFF_FFFF}  # by the bytes of an unsigned integer
_MAGIC = b"CANDOR"
_DTYPES = {code: np.dtype("<" + code) for code in ("u1", "u2", "u4", "i4", "f4", "f8")}


def pack(kind: str, meta: Any, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Columns and a JSON-serializable `meta` as bytes. Raises ValueError for a dtype the format does not support."""
    entries, body, offset = [], [], 0
    for name, column in columns.items():
        code = column.dtype.str[1:]
        if code not in _DTYPES:
            raise ValueError(f"column {name} has dtype {column.dtype}, which the format does not support")
        raw = np.ascontiguousarray(column.astype(column.dtype.newbyteorder("<"), copy=False)).tobytes()
        entries.append([name, code, list(column.shape), offset, len(raw)])
        body += [raw, bytes(-len(raw) % 8)]
        offset += len(raw) + len(body[-1])
    # Offsets count from the end of the header, so its length does not affect them.
    header = json.dumps(
        {"kind": kind, "meta": meta, "columns": entries}, separators=(",", ":"), allow_nan=False
    ).encode()
    header += b" " * (-(12 + len(header)) % 8)
    return b"".join([_MAGIC, bytes([VERSION, 0]), len(header).to_bytes(4, "little"), header, *body])


def unpack(blob: bytes, kind: str) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return (meta, columns) as passed to `pack`; columns are read-only views into `blob`. Raises BadFile."""
    if blob[:6] != _MAGIC or len(blob) < 12:
        raise BadFile("These bytes are not a Candor file.", "Choose a file that Candor saved.")
    if blob[6] > VERSION:
        raise BadFile(f"The file has format version {blob[6]}; this Candor reads up to {VERSION}.", "Update Candor.")
    start = 12 + int.from_bytes(blob[8:12], "little")
    try:
        header = json.loads(blob[12:start])
        if header["kind"] != kind:
            raise BadFile(f"The file holds a {header['kind']}, not a {kind}.", "Choose another file.")
        columns = {name: _column(blob, start, *rest) for name, *rest in header["columns"]}
        return header["meta"], columns
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadFile("The file is damaged or truncated.", "Export it again from its source.") from error


def _column(blob: bytes, start: int, code: str, shape: list[int], offset: int, length: int) -> NDArray[Any]:
    if offset < 0:
        raise ValueError("column out of bounds")
    column = np.ndarray(shape, _DTYPES[code], blob, start + offset)  # raises TypeError beyond the end of the bytes
    if column.nbytes != length:
        raise ValueError("column out of bounds")
    return column


def narrow(refs: NDArray[np.int32], rows: int) -> NDArray[Any]:
    """Refs into a table of `rows` rows as the smallest unsigned integer type; -1 becomes its largest value."""
    dtype = np.uint8 if rows < 0xFF else np.uint16 if rows < 0xFFFF else np.uint32
    return refs.astype(dtype)


def widen(column: NDArray[Any]) -> NDArray[np.int32]:
    """The inverse of `narrow`."""
    refs = column.astype(np.int32)  # the largest number of four bytes becomes -1 by itself
    refs[column == _LARGEST[column.itemsize]] = -1
    return refs
