"""A completion in few bytes: its packed form, rearranged so that deflate finds the most in it.

Two steps before it, both of which lose nothing. A chosen token that is also in the list of its position has its logprob
there a second time: the column holds what the two differ in, nothing as a rule. And the bytes of a number that mean the
same stand together, as exponents resemble each other and mantissas do not.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.columnar import pack, unpack
from lib.core.completion import Completion
from lib.core.serialization import pack_completion, unpack_completion
from lib.errors import BadFile

_KIND = "compact completion"
_LEVEL = 1  # of zlib: the others take several times as long for a few bytes less
MOST = 1 << 30  # bytes that a completion may come to when it is inflated
_CHOSEN = ("prompt", "generated")

Columns = dict[str, NDArray[Any]]


def compact(completion: Completion) -> bytes:
    """A completion as few bytes; `restore` gives an identical one."""
    meta, columns = unpack(pack_completion(completion), "completion")
    columns = _differences(columns)
    shapes = {name: [column.dtype.str[1:], list(column.shape)] for name, column in columns.items()}
    turned = {name: _turned(column) for name, column in columns.items()}
    return zlib.compress(pack(_KIND, {"meta": meta, "shapes": shapes}, turned), _LEVEL)


def restore(blob: bytes) -> Completion:
    """The completion that `compact` was given. Raises BadFile when the bytes do not hold one."""
    outer, turned = unpack(_inflated(blob), _KIND)
    try:
        columns = {name: _turned_back(turned[name], *shape) for name, shape in outer["shapes"].items()}
        meta, columns = outer["meta"], _differences(columns)
        packed = pack("completion", meta, columns)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise BadFile("What was stored of this answer is damaged.", "Ask the model again.") from error
    return unpack_completion(packed)


def _inflated(blob: bytes) -> bytes:
    engine = zlib.decompressobj()
    try:
        inflated = engine.decompress(blob, MOST)
    except zlib.error as error:
        raise BadFile("What was stored of this answer is damaged.", "Ask the model again.") from error
    if not engine.eof:
        raise BadFile("What was stored of this answer is cut off or too large.", "Ask the model again.")
    return inflated


def _differences(columns: Mapping[str, NDArray[Any]]) -> Columns:
    """The columns with the chosen tokens' logprobs XORed with those listed for them. Its own inverse."""
    out = dict(columns)
    for part in _CHOSEN:
        refs, top_refs = out[f"{part}.refs"], out[f"{part}.top_refs"]
        same = top_refs == refs[:, None]
        place = same.argmax(axis=1) if top_refs.shape[1] else np.zeros(len(refs), np.intp)
        listed = np.zeros(len(refs), np.uint32)
        found = same.any(axis=1)
        listed[found] = out[f"{part}.top_logprobs"].view(np.uint32)[found, place[found]]
        out[f"{part}.logprobs"] = (out[f"{part}.logprobs"].view(np.uint32) ^ listed).view(np.float32)
    return out


def _turned(column: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8[size of an item, items]: first bytes first."""
    flat = np.ascontiguousarray(column).reshape(-1)
    return np.ascontiguousarray(flat.view(np.uint8).reshape(-1, column.dtype.itemsize).T)


def _turned_back(turned: NDArray[np.uint8], code: str, shape: list[int]) -> NDArray[Any]:
    return np.ascontiguousarray(turned.T).reshape(-1).view(np.dtype("<" + code)).reshape(shape)
