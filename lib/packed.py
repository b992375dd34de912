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

from lib.completion import Completion, Timing
from lib.errors import BadFile
from lib.pieces import Pieces
from lib.request import Message, Request
from lib.tokens import Tokens

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
    header = json.dumps({"kind": kind, "meta": meta, "columns": entries}, separators=(",", ":")).encode()
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
    meta = {name: getattr(completion, name) for name in _PLAIN}
    meta |= {"request": asdict(completion.request), "timing": asdict(completion.timing)}
    return pack("completion", meta, columns)


def unpack_completion(blob: bytes) -> Completion:
    """The completion that `pack_completion` packed. Raises BadFile when the bytes do not hold one."""
    meta, columns = unpack(blob, "completion")
    try:
        lengths = columns["pieces.lengths"].astype(np.int64)
        if lengths.sum() != len(columns["pieces.data"]):
            raise ValueError("piece lengths and data disagree")
        pieces = Pieces(
            columns["pieces.ids"],
            np.concatenate([[0], np.cumsum(lengths)]),
            columns["pieces.data"],
            columns["pieces.special"] != 0,
        )
        plain: dict[str, Any] = {name: meta[name] for name in _PLAIN}
        plain["warnings"] = tuple(plain["warnings"])
        plain["provenance"] = tuple((name, value) for name, value in plain["provenance"])
        return Completion(
            request=_request(meta["request"]),
            timing=Timing(**meta["timing"]),
            prompt=_unpack_tokens("prompt", columns, pieces),
            generated=_unpack_tokens("generated", columns, pieces),
            **plain,
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BadFile("The file is damaged: its columns do not fit together.", "Export it again.") from error


def _unpack_tokens(part: str, columns: Mapping[str, NDArray[Any]], pieces: Pieces) -> Tokens:
    return Tokens(
        widen(columns[f"{part}.refs"]),
        columns[f"{part}.logprobs"],
        columns[f"{part}.ranks"],
        widen(columns[f"{part}.top_refs"]),
        columns[f"{part}.top_logprobs"],
        columns[f"{part}.kinds"],
        pieces,
    )


def _request(values: dict[str, Any]) -> Request:
    messages = tuple(Message(**message) for message in values.pop("messages"))
    return Request(messages=messages, stop=tuple(values.pop("stop")), **values)


_PLAIN = (
    "model",
    "text",
    "stop_reason",
    "scale",
    "origin",
    "chosen_by",
    "overlap",
    "vocabulary_size",
    "warnings",
    "provenance",
)
