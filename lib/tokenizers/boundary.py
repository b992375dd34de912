"""Where a position in bytes falls among tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def token_at(sizes: NDArray[np.integer], position: int) -> tuple[int, int]:
    """Find the token that contains a byte position: (its index, how many of its bytes come before the position).

    sizes: int[n], bytes of each token. position: bytes from the start of the first token.
    Returns (n, 0) for a position at or past the end. Empty tokens at the position count as before it.
    """
    ends = np.cumsum(sizes)
    index = int(np.searchsorted(ends, position, side="right"))
    if index == len(ends):
        return index, 0
    return index, int(position - (ends[index] - sizes[index]))
