from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.display.scales import SCALES, UNSCORED
from lib.display.unit_metrics import fine_steps, least_confident_tenth, token_metrics, unit_metrics
from tests.support.strategies import INF, NAN, table_of, tokens_of, tokens_on

WORD = tokens_on(
    table_of("a", b"\xf0\x9f", b"\x98\x80", "b"),
    [0, 1, 2, 3],
    logprobs=[NAN, np.log(0.5), np.log(0.25), -INF],
    ranks=[-1, 2, 7, 30],
    top_refs=[[-1, -1], [0, 1], [2, 3], [0, 1]],
    top_logprobs=[[NAN, NAN], np.log([0.5, 0.5]), np.log([0.75, 0.25]), np.log([0.9, 0.1])],
)


def test_a_unit_of_several_tokens() -> None:
    values = unit_metrics(token_metrics(WORD, 4), np.array([0, 1, 3]))
    expected = {
        "probability": [NAN, 0.125, 0],  # 0.5 × 0.25
        "surprisal": [NAN, np.log(8), INF],
        "rank": [NAN, 7, 30],
        "entropy": [
            NAN,
            np.log(2),  # of an even choice, more than that of 3 to 1
            0.9 * np.log(1 / 0.9) + 0.1 * np.log(10),
        ],
        "margin": [NAN, 0, 0.8],
        "boosted": [NAN, 0.125, 0],
    }
    assert list(values) == [scale.name for scale in SCALES]
    for name, column in expected.items():
        if name == "boosted":
            continue
        assert values[name].tolist() == pytest.approx(column, nan_ok=True, abs=1e-5), name


def test_boosted_probabilities_multiply() -> None:
    near = np.log([0.45, 0.4, 0.05])
    tokens = tokens_on(
        table_of("a", "b", "c"),
        [0, 1],
        logprobs=near[:2],
        top_refs=[[0, 1, 2], [0, 1, 2]],
        top_logprobs=[near, near],
    )
    values = unit_metrics(token_metrics(tokens, None), np.array([0]))
    assert values["boosted"].tolist() == pytest.approx([0.85 * 0.85])
    assert values["probability"].tolist() == pytest.approx([0.45 * 0.4])


def test_no_units() -> None:
    steps = fine_steps(unit_metrics(token_metrics(tokens_of(), None), np.array([], int)))
    assert {name: len(column) for name, column in steps.items()} == {scale.name: 0 for scale in SCALES}


def test_a_passage_is_as_sure_as_its_least_confident_tenth() -> None:
    words = np.array([3, 9, 1, *range(20, 0, -1)], np.uint8)
    assert least_confident_tenth(words, np.array([0, 3]), np.ones(23, bool)).tolist() == [9, 19]
    assert least_confident_tenth(words[:13], np.array([0, 3]), np.ones(13, bool)).tolist() == [9, 20]
    assert least_confident_tenth(words[:14], np.array([0, 3]), np.ones(14, bool)).tolist() == [9, 19]


def test_only_words_that_count_do_unless_none_does() -> None:
    words = np.array([3, 9, 1, 7, UNSCORED, UNSCORED], np.uint8)
    counted = np.array([True, False, True, False, True, True])
    assert least_confident_tenth(words, np.array([0, 3, 5]), counted).tolist() == [3, 7, UNSCORED]
    assert least_confident_tenth(np.empty(0, np.uint8), np.array([], int), np.empty(0, bool)).tolist() == []


@given(st.lists(st.lists(st.tuples(st.sampled_from([0, 1, 5, 90, 250, 255]), st.booleans()), min_size=1, max_size=25)))
def test_the_tenth_by_hand(passages: list[list[tuple[int, bool]]]) -> None:
    flat = [word for passage in passages for word in passage]
    first = np.cumsum([0, *map(len, passages)])[:-1]
    expected = []
    for passage in passages:
        scored = [(step, counts) for step, counts in passage if step != UNSCORED]
        used = [step for step, counts in scored if counts] or [step for step, _ in scored]
        expected.append(sorted(used, reverse=True)[(len(used) + 9) // 10 - 1] if used else UNSCORED)
    steps, counted = np.array([step for step, _ in flat], np.uint8), np.array([counts for _, counts in flat], bool)
    assert least_confident_tenth(steps, first, counted).tolist() == expected
