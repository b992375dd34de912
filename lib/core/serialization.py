"""Completions as bytes of the columnar format, and requests as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.columnar import narrow, pack, unpack, widen
from lib.core.completion import Completion, Origin, Scale, Timing
from lib.core.pieces import Pieces, offsets_of
from lib.core.request import Message, Request
from lib.core.tokens import Tokens, within_bounds
from lib.errors import BadFile, InvalidRequest

# Plain fields of a completion and of a request, with the types that a file may hold for them.
_PLAIN: dict[str, Any] = {
    "model": str,
    "text": str,
    "stop_reason": str | None,
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
    "scores_from": int,
    "n": int,
}


def pack_completion(completion: Completion) -> bytes:
    """Serialize a completion; `unpack_completion` returns an identical one."""
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
    meta = {name: getattr(completion, name) for name in (*_PLAIN, "scale", "origin", "warnings", "provenance")}
    meta |= {
        "request": None if completion.request is None else request_as_json(completion.request),
        "timing": asdict(completion.timing),
    }
    return pack("completion", meta, columns)


def unpack_completion(blob: bytes) -> Completion:
    """Read what `pack_completion` wrote. Raises BadFile if the bytes do not hold a completion."""
    meta, columns = unpack(blob, "completion")
    try:
        return Completion(
            request=None if meta["request"] is None else request_of(meta["request"]),
            timing=Timing(**{name: _typed(value, float | int | None) for name, value in meta["timing"].items()}),
            warnings=tuple(_typed(text, str) for text in meta["warnings"]),
            provenance=tuple((_typed(what, str), _typed(value, str)) for what, value in meta["provenance"]),
            scale=Scale(meta["scale"]),
            origin=Origin(meta["origin"]),
            **{name: _typed(meta[name], kind) for name, kind in _PLAIN.items()},
            **_parts(columns),
        )
    except (ValueError, KeyError, TypeError, AttributeError, InvalidRequest) as error:
        raise BadFile("The file is damaged: its columns do not fit together.", "Export it again.") from error


def _parts(columns: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    lengths = _column_of(columns, "pieces.lengths", "u4")
    pieces = Pieces(
        _column_of(columns, "pieces.ids", "i4"),
        offsets_of(lengths.view(np.int32)),
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
        raise ValueError(f"column {name} has the wrong type")
    return column


def request_as_json(request: Request) -> dict[str, Any]:
    """The fields of a request as JSON values. `prefix_ids` is stored as "begun", its name in the first version.

    A field that the first versions did not have is left out if it has no effect, so that they would write the same.
    """
    values = asdict(request)
    values["begun"] = values.pop("prefix_ids")
    if not request.scores_from:
        del values["scores_from"]
    return values


def request_of(values: dict[str, Any]) -> Request:
    """Read what `request_as_json` returned. Raises KeyError, TypeError or InvalidRequest if it is not a request."""
    messages = tuple(Message(_typed(each["role"], str), _typed(each["content"], str)) for each in values["messages"])
    values = {"scores_from": 0} | values  # missing in files of earlier versions
    plain = {name: _typed(values[name], kind) for name, kind in _REQUEST.items()}
    stop = tuple(_typed(each, str) for each in values["stop"])
    prefix_ids = tuple(_typed(each, int) for each in values.get("begun", ()))  # missing in files of the first version
    return Request(messages=messages, stop=stop, prefix_ids=prefix_ids, **plain)


def _typed(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} has the wrong type")
    return value
