"""Which passages are kept, and how long ones are cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contexts.passages import Passage, Passages
from lib.contexts.pruning import Keep, Rule, cut_to, kept, ranked, shortened

SCORES = np.array([-2.0, math.nan, -0.5, -1.0, -0.5])


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (Keep(Rule.TOP, 3), (2, 4, 3)),
        (Keep(Rule.TOP, 0), ()),
        (Keep(Rule.TOP, 9), (2, 4, 3, 0)),
        (Keep(Rule.THRESHOLD, -1.0), (2, 4, 3)),
        (Keep(Rule.THRESHOLD, 0.0), ()),
        (Keep(Rule.BUDGET, 30), (2, 3)),
        (Keep(Rule.BUDGET, 5), ()),
    ],
)
def test_rules_by_hand(keep: Keep, expected: tuple[int, ...]) -> None:
    assert kept(SCORES, keep, [10, 10, 20, 10, 15]) == expected
    assert ranked(SCORES) == (2, 4, 3, 0, 1)


@given(st.lists(st.tuples(st.floats(-9, 9) | st.just(math.nan), st.integers(1, 50)), max_size=12), st.integers(0, 200))
def test_a_budget_is_never_exceeded_and_skips_what_is_too_long(rows: list[tuple[float, int]], budget: int) -> None:
    scores, tokens = np.array([score for score, _ in rows]), [size for _, size in rows]
    found = kept(scores, Keep(Rule.BUDGET, budget), tokens)
    left = budget - sum(tokens[place] for place in found)
    assert left >= 0
    assert not any(math.isnan(scores[place]) for place in found)
    dropped = [place for place in range(len(rows)) if place not in found and not math.isnan(scores[place])]
    assert all(tokens[place] > left for place in dropped)


@given(st.text(alphabet="ab \n日", max_size=80), st.integers(0, 40))
def test_a_cut_text_fits_and_is_a_beginning(text: str, most: int) -> None:
    found = shortened(text, most, len)
    assert len(found) <= most
    assert text.startswith(found)
    assert found == text or len(text) > most


def test_a_cut_is_said() -> None:
    found = cut_to(
        Passages((Passage("a", "one two three"), Passage("b", "one")), ("before",)), 2, lambda text: len(text.split())
    )
    assert [each.text for each in found.passages] == ["one two", "one"]
    assert found.notes == ("before", "Cut to 2 tokens, to fit into the model's context: “a”.")
    assert cut_to(found, 2, lambda text: len(text.split())) == found
