"""Holm's procedure, against its definition."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.statistics.multiple import holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def rejected(p_values: list[float], level: float) -> set[int]:
    """As Holm defines it: reject the smallest while each is at most level / (number of those that are left)."""
    left = sorted(range(len(p_values)), key=lambda place: p_values[place])
    found: set[int] = set()
    while left and p_values[left[0]] * len(left) <= level:
        found.add(left.pop(0))
    return found


@given(P_VALUES, st.floats(0.001, 0.999))
def test_it_rejects_what_the_definition_rejects(p_values: list[float], level: float) -> None:
    adjusted = holm(p_values)
    assert {place for place, each in enumerate(adjusted) if each <= level} == rejected(p_values, level)


@given(P_VALUES)
def test_adjusted_values_are_no_smaller_and_at_most_bonferronis(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values)).all()
    assert (adjusted <= np.minimum(np.array(p_values) * len(p_values), 1)).all()


def test_an_example_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == [0.03, 0.06, 0.06, 0.02]


def test_what_is_missing_is_no_comparison() -> None:
    found = holm([0.02, math.nan, 0.5])
    assert found[[0, 2]].tolist() == [0.04, 0.5]
    assert math.isnan(found[1])
    assert len(holm([])) == 0
