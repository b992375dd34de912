"""Read-only numpy columns, their equality, and their common prefix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def frozen(values: Any, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return `values` as a read-only, C-contiguous array of this dtype and shape.

    Copies if the caller could still write to the memory. All NaNs get the same bit pattern, so equal columns have equal
    bits. Raises ValueError if the shape differs.
    """
    array = np.ascontiguousarray(values, dtype)
    if array.shape != shape:
        raise ValueError(f"expected an array of shape {shape}, got {array.shape}")
    if (array is values or array.base is not None) and not isinstance(array.base, bytes):
        array = _unshared(array)
    if array.dtype.kind == "f" and (nans := np.isnan(array)).any():
        bits = f"u{array.itemsize}"
        odd = nans & (array.view(bits) != np.array(np.nan, array.dtype).view(bits))
        if odd.any():
            array = array.copy()
            array[odd] = np.nan
    array.flags.writeable = False
    return array


def _unshared(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array itself if its memory is immutable, else a copy.

    A read-only view may share memory that its owner can still change.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return array.copy()
        owner = owner.base
    return array if owner is None or isinstance(owner, bytes) else array.copy()


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether dtype, shape and every bit agree (NaN equals NaN, 0.0 does not equal -0.0)."""
    if a is b:
        return True
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return bool(np.array_equal(a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8)))


def common_prefix_length(first: NDArray[np.integer], second: NDArray[np.integer]) -> int:
    """How many leading items two columns share."""
    shorter = min(len(first), len(second))
    differences = np.flatnonzero(first[:shorter] != second[:shorter])
    return int(differences[0]) if len(differences) else shorter
