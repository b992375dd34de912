from __future__ import annotations

from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.tokenizers.boundary import token_at


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 50))
def test_the_token_that_holds_a_position(sizes: list[int], position: int) -> None:
    index, inside = token_at(np.array(sizes, np.int32), position)
    starts = [0, *accumulate(sizes)]
    if position >= starts[-1]:
        assert (index, inside) == (len(sizes), 0)
    else:
        assert starts[index] + inside == position
        assert 0 <= inside < sizes[index]
