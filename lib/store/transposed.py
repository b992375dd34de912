"""The form in which version 0.1 stored completions, for reading only.

The bytes of each column are transposed, so that the first bytes of all numbers come first. The logprob of a chosen
token that is also among its alternatives is XORed with the one there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.columnar import pack, unpack
from lib.core.completion import Completion
from lib.core.serialization import unpack_completion
from lib.errors import BadFile

_KIND = "compact completion"
_START = b'{"kind":"compact completion"'  # of the header, which follows 12 bytes


def is_transposed(inflated: bytes) -> bool:
    """Whether inflated bytes have this form."""
    return inflated.startswith(_START, 12)


def transposed_completion(inflated: bytes) -> Completion:
    """The completion in inflated bytes. Raises BadFile."""
    outer, transposed = unpack(inflated, _KIND)
    try:
        columns = {name: _column(transposed[name], *shape) for name, shape in outer["shapes"].items()}
        for part in ("prompt", "generated"):
            _restore_logprobs(columns, part)
        packed = pack("completion", outer["meta"], columns)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise BadFile("The saved answer is damaged.", "Run it again.") from error
    return unpack_completion(packed)


def _column(transposed: NDArray[np.uint8], code: str, shape: list[int]) -> NDArray[Any]:
    return np.ascontiguousarray(transposed.T).reshape(-1).view(np.dtype("<" + code)).reshape(shape)


def _restore_logprobs(columns: dict[str, NDArray[Any]], part: str) -> None:
    refs, top_refs = columns[f"{part}.refs"], columns[f"{part}.top_refs"]
    same = top_refs == refs[:, None]
    place = same.argmax(axis=1) if top_refs.shape[1] else np.zeros(len(refs), np.intp)
    listed = np.zeros(len(refs), np.uint32)
    found = same.any(axis=1)
    listed[found] = columns[f"{part}.top_logprobs"].view(np.uint32)[found, place[found]]
    columns[f"{part}.logprobs"] = (columns[f"{part}.logprobs"].view(np.uint32) ^ listed).view(np.float32)
