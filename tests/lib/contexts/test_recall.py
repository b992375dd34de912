"""Recall of right passages: by hand, with intervals, and what is chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contexts.labelled import Labelled, keeps
from lib.contexts.passages import Passage
from lib.contexts.recall import COMBINATIONS, RANDOM, TOPS, ScoredQuestion, best_of, recalled
from lib.contexts.scorings import BM25, DRAFT, GAIN, QUESTION, RETRIEVER, combined

PASSAGES = tuple(Passage(str(place), f"text {place}") for place in range(4))


def scored(kind: str = "", right: int = 0, **scores: list[float]) -> ScoredQuestion:
    """A question with four passages of 10, 20, 30 and 40 tokens."""
    about = Labelled("1", "Who?", PASSAGES, right, kind)
    return ScoredQuestion(about, {name: np.array(own, float) for name, own in scores.items()}, (10, 20, 30, 40))


FIRST, SECOND = [4.0, 3, 2, 1], [3.0, 4, 2, 1]


def test_by_hand() -> None:
    rows = [*[scored(question=FIRST, draft=SECOND, bm25=[0, 0, 0, 0])] * 6, *[scored(question=SECOND, draft=SECOND,
             bm25=[0, 0, 0, 0])] * 2]  # fmt: skip
    found = recalled(rows, QUESTION)
    assert found.n == 8
    assert [each.value for each in found.recalls[QUESTION].kept] == [0.75, 1, 1, 1, 1]
    assert [each.value for each in found.recalls[DRAFT].kept] == [0, 1, 1, 1, 1]
    assert [each.value for each in found.recalls[BM25].kept] == [0.25, 0.5, 0.75, 1, 1]
    assert [each.value for each in found.recalls[RANDOM].kept] == [0.25, 0.5, 0.75, 1, 1]
    assert found.saved == pytest.approx([0.75, 0.5, 0.25, 0, 0])
    assert found.differences[DRAFT].value == 0.75
    assert 0.3 < found.differences[DRAFT].low < 0.75 < found.differences[DRAFT].high <= 1
    assert found.differences[BM25].value == 0.5
    assert RANDOM not in found.differences
    assert QUESTION not in found.differences


def test_where_resampling_shows_no_width_a_share_has_its_exact_interval() -> None:
    found = recalled([scored(question=FIRST, draft=SECOND)] * 35, QUESTION)
    first, never = found.recalls[QUESTION].kept[0], found.recalls[DRAFT].kept[0]
    assert (first.low, first.high) == (pytest.approx(0.025 ** (1 / 35)), 1.0)  # Clopper and Pearson, by hand
    assert (never.low, never.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 35)))
    assert math.isnan(found.differences[DRAFT].low), "a difference is not a share"


def test_kinds_are_resampled_apart() -> None:
    """Where all of one kind are found and none of the other, resampling within kinds shows no width."""
    rows = [scored("a", question=FIRST)] * 10 + [scored("b", question=SECOND)] * 10
    own = recalled(rows, QUESTION).recalls[QUESTION].kept[0]
    assert own.value == 0.5
    assert own.low == pytest.approx(0.272, abs=1e-3), "the exact interval of 10 of 20"


def test_what_nothing_scores_is_left_out_and_gaps_are_counted() -> None:
    nan = math.nan
    rows = [scored(question=FIRST, draft=[nan] * 4, bm25=[nan, 1, 1, nan])] * 5
    found = recalled(rows, QUESTION)
    assert DRAFT not in found.recalls
    assert "question + draft" not in found.recalls
    assert found.recalls[BM25].missing == 10
    assert found.recalls[BM25].kept[1].value == 0.0
    assert GAIN not in found.recalls


def test_the_best_needs_no_answer_and_of_equals_no_calls() -> None:
    assert best_of([scored(question=SECOND, draft=FIRST, gain=FIRST, bm25=SECOND)] * 5) == DRAFT
    assert best_of([scored(question=FIRST, draft=SECOND, bm25=FIRST)] * 5) == BM25
    assert best_of([scored(question=FIRST, draft=SECOND, retriever=FIRST)] * 5) == RETRIEVER
    assert best_of([scored(gain=FIRST)] * 5) == ""
    assert recalled([scored(gain=FIRST)] * 5, "").differences == {}


@given(st.lists(st.tuples(*[st.permutations(FIRST)] * 4, st.integers(0, 3)), min_size=1, max_size=12))
def test_every_recall_is_the_mean_over_questions(rows: list[tuple[list[float], ...]]) -> None:
    made = [
        scored(right=int(right), question=one, draft=two, gain=three, bm25=four)  # type: ignore[call-overload]
        for one, two, three, four, right in rows
    ]
    found = recalled(made, QUESTION)
    for name, weights in COMBINATIONS.items():
        for place, most in enumerate(TOPS):
            own = [keeps(combined(each.scores, weights), each.about.right, most) for each in made]
            assert found.recalls[name].kept[place].value == pytest.approx(np.mean(own))
    for each in found.recalls.values():
        values = [one.value for one in each.kept]
        assert values == sorted(values), "more passages keep the right one more often"
        for one in each.kept:
            assert math.isnan(one.low) or 0 <= one.low <= one.value + 1e-9 <= one.high + 2e-9
