"""The one packed form: named columns of numbers and a JSON header in one run of bytes.

Layout, all little-endian:

    8 bytes   b"CANDOR", format version (u8), 0
    u32       length of the header in bytes
    header    UTF-8 JSON {"kind": str, "meta": any, "columns": [[name, dtype, shape, offset, length], …]}
    columns   raw values, C order; every offset counts from the start and is a multiple of 8

A reader in any language needs a JSON parser and typed arrays, nothing else. The component reads it in the browser, and
stored runs and exported files hold it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion, Timing
from lib.core.pieces import Pieces
from lib.core.request import Message, Request
from lib.core.tokens import Tokens, within_bounds
from lib.errors import BadFile, InvalidRequest

VERSION = 1
_MAGIC = b"CANDOR"
_DTYPES = {"u1", "u2", "u4", "i4", "f4", "f8"}


def pack(kind: str, meta: Any, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Columns and a JSON-able `meta` as one run of bytes. Raises ValueError for a dtype the form does not have."""
    entries, body, offset = [], [], 0
    for name, column in columns.items():
        code = column.dtype.str[1:]
        if code not in _DTYPES:
            raise ValueError(f"column {name} has dtype {column.dtype}, which has no packed form")
        raw = np.ascontiguousarray(column.astype(column.dtype.newbyteorder("<"), copy=False)).tobytes()
        entries.append([name, code, list(column.shape), offset, len(raw)])
        body += [raw, bytes(-len(raw) % 8)]
        offset += len(raw) + len(body[-1])
    # Offsets are relative to the end of the header here, so that its own length does not change them.
    header = json.dumps(
        {"kind": kind, "meta": meta, "columns": entries}, separators=(",", ":"), allow_nan=False
    ).encode()
    header += b" " * (-(12 + len(header)) % 8)
    return b"".join([_MAGIC, bytes([VERSION, 0]), len(header).to_bytes(4, "little"), header, *body])


def unpack(blob: bytes, kind: str) -> tuple[Any, dict[str, NDArray[Any]]]:
    """The (meta, columns) of `pack`; columns are read-only views into `blob`. Raises BadFile."""
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
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadFile("The file is damaged or cut off.", "Export it again from where it came.") from error


def _column(blob: bytes, start: int, code: str, shape: list[int], offset: int, length: int) -> NDArray[Any]:
    if code not in _DTYPES:
        raise ValueError(code)
    dtype = np.dtype("<" + code)
    if (
        math.prod(shape) * dtype.itemsize != length
        or min([offset, *shape], default=0) < 0
        or start + offset + length > len(blob)
    ):
        raise ValueError("column out of bounds")
    return np.frombuffer(blob, dtype, math.prod(shape), start + offset).reshape(shape)


def narrow(refs: NDArray[np.int32], rows: int) -> NDArray[Any]:
    """Refs into a table of that many rows as the smallest unsigned integers; -1 becomes the largest value."""
    dtype = np.uint8 if rows < 0xFF else np.uint16 if rows < 0xFFFF else np.uint32
    return refs.astype(dtype)


def widen(column: NDArray[Any]) -> NDArray[np.int32]:
    """The inverse of `narrow`."""
    return np.where(column == np.iinfo(column.dtype).max, -1, column.astype(np.int64)).astype(np.int32)


def pack_completion(completion: Completion) -> bytes:
    """A completion as bytes; `unpack_completion` gives an identical one."""
    pieces = completion.pieces
    columns: dict[str, NDArray[Any]] = {
        "pieces.ids": pieces.ids,
        "pieces.lengths": np.diff(pieces.offsets).astype(np.uint32),
        "pieces.data": pieces.data,
        "pieces.special": pieces.special.astype(np.uint8),
    }
    for part in ("prompt", "generated"):
        tokens: Tokens = getattr(completion, part)
        columns |= {
            f"{part}.refs": narrow(tokens.refs, len(pieces)),
            f"{part}.logprobs": tokens.logprobs,
            f"{part}.ranks": tokens.ranks,
            f"{part}.top_refs": narrow(tokens.top_refs, len(pieces)),
            f"{part}.top_logprobs": tokens.top_logprobs,
            f"{part}.kinds": tokens.kinds,
        }
    meta = {name: getattr(completion, name) for name in (*_PLAIN, "warnings", "provenance")}
    meta |= {
        "request": None if completion.request is None else request_as_json(completion.request),
        "timing": asdict(completion.timing),
    }
    return pack("completion", meta, columns)


def unpack_completion(blob: bytes) -> Completion:
    """The completion that `pack_completion` packed. Raises BadFile when the bytes do not hold one."""
    meta, columns = unpack(blob, "completion")
    try:
        return Completion(
            request=None if meta["request"] is None else request_of(meta["request"]),
            timing=Timing(**{name: _typed(value, float | int | None) for name, value in meta["timing"].items()}),
            warnings=tuple(_typed(text, str) for text in meta["warnings"]),
            provenance=tuple((_typed(what, str), _typed(value, str)) for what, value in meta["provenance"]),
            **{name: _typed(meta[name], kind) for name, kind in _PLAIN.items()},
            **_parts(columns),
        )
    except (ValueError, KeyError, TypeError, AttributeError, InvalidRequest) as error:
        raise BadFile("The file is damaged: its columns do not fit together.", "Export it again.") from error


def _parts(columns: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    lengths = _column_of(columns, "pieces.lengths", "u4").astype(np.int64)
    pieces = Pieces(
        _column_of(columns, "pieces.ids", "i4"),
        np.concatenate([[0], np.cumsum(lengths)]),
        _column_of(columns, "pieces.data", "u1"),
        _column_of(columns, "pieces.special", "u1") != 0,
    )
    found = {part: _unpack_tokens(part, columns, pieces) for part in ("prompt", "generated")}
    if not within_bounds(list(found.values())):
        raise ValueError("more positions and alternatives than any answer has")
    return found


def _unpack_tokens(part: str, columns: Mapping[str, NDArray[Any]], pieces: Pieces) -> Tokens:
    return Tokens(
        widen(_column_of(columns, f"{part}.refs", "u1", "u2", "u4")),
        _column_of(columns, f"{part}.logprobs", "f4"),
        _column_of(columns, f"{part}.ranks", "i4"),
        widen(_column_of(columns, f"{part}.top_refs", "u1", "u2", "u4")),
        _column_of(columns, f"{part}.top_logprobs", "f4"),
        _column_of(columns, f"{part}.kinds", "u1"),
        pieces,
    )


def _column_of(columns: Mapping[str, NDArray[Any]], name: str, *codes: str) -> NDArray[Any]:
    column = columns[name]
    if column.dtype.str[1:] not in codes:
        raise ValueError(f"column {name} is of another type")
    return column


def request_as_json(request: Request) -> dict[str, Any]:
    """The fields of a request. `prefix_ids` is called "begun", as it was in the first version of all formats."""
    values = asdict(request)
    values["begun"] = values.pop("prefix_ids")
    return values


def request_of(values: dict[str, Any]) -> Request:
    """The request that `request_as_json` described. Raises KeyError, TypeError, InvalidRequest where it is none."""
    messages = tuple(Message(_typed(each["role"], str), _typed(each["content"], str)) for each in values["messages"])
    plain = {name: _typed(values[name], kind) for name, kind in _REQUEST.items()}
    stop = tuple(_typed(each, str) for each in values["stop"])
    prefix_ids = tuple(_typed(each, int) for each in values.get("begun", ()))  # files of the first version have none
    return Request(messages=messages, stop=stop, prefix_ids=prefix_ids, **plain)


def _typed(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is of another type")
    return value


_PLAIN: dict[str, Any] = {
    "model": str,
    "text": str,
    "stop_reason": str | None,
    "scale": str,
    "origin": str,
    "chosen_by": str,
    "overlap": int,
    "vocabulary_size": int | None,
}
_REQUEST: dict[str, Any] = {
    "prompt": str | None,
    "max_tokens": int,
    "temperature": float | int,
    "top_p": float | int,
    "seed": int | None,
    "k": int,
    "prompt_scores": bool,
    "n": int,
}
