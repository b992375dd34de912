"""Read-only numpy columns, and what it means for two of them to be equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def frozen(values: Any, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """`values` as a read-only, C-contiguous array of that dtype and shape.

    Copies when the caller could still write into the memory. NaNs get one bit pattern, so that equal means equal bits.

    Raises ValueError when the shape differs.
    """
    array = np.ascontiguousarray(values, dtype)
    if array.shape != shape:
        raise ValueError(f"expected an array of shape {shape}, got {array.shape}")
    if array.flags.writeable and isinstance(values, np.ndarray) and np.may_share_memory(array, values):
        array = array.copy()
    if array.dtype.kind == "f":
        odd = np.isnan(array) & (
            array.view(f"u{array.itemsize}") != np.array(np.nan, array.dtype).view(f"u{array.itemsize}")
        )
        if odd.any():
            array = array.copy()
            array[odd] = np.nan
    array.flags.writeable = False
    return array


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether dtype, shape and every bit agree (NaN equals NaN, 0.0 does not equal -0.0)."""
    if a is b:
        return True
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return bool(np.array_equal(a.view(np.uint8), b.view(np.uint8)) if a.ndim and a.size else True)
