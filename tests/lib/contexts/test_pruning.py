"""Which passages are kept, and how long ones are cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contexts.passages import Passage
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


def test_a_cut_is_at_a_word_and_as_late_as_can_be() -> None:
    text = " ".join(f"word{number}" for number in range(200))
    found = shortened(text, 500, len)
    assert text.startswith(f"{found} ")
    assert 490 <= len(found) <= 500
    cut = cut_to((Passage("a", "one two three"), Passage("b", "one")), 2, lambda text: len(text.split()))
    assert [each.text for each in cut] == ["one two", "one"]
    assert cut_to(cut, 2, lambda text: len(text.split())) == cut
    assert cut_to((Passage("a", "abc"),), 0, len)[0].text == "a", "a passage is never empty"


def test_a_long_text_is_counted_few_times() -> None:
    counted = []

    def count(text: str) -> int:
        counted.append(len(text))
        return len(text) // 4

    text = "lorem ipsum " * 8_000
    assert count(shortened(text, 1_000, count)) <= 1_000
    assert sum(counted) < 2 * len(text), "not the whole text at each step"


def test_a_text_whose_beginnings_have_more_tokens_still_fits() -> None:
    def count(text: str) -> int:  # a word that is cut has a token per character
        return sum(1 if each in ("alpha", "beta") else len(each) for each in text.split())

    assert shortened("alpha beta alpha beta", 2, count) == "alpha beta"
    assert shortened("alphabeta", 4, count) == "alpha"
