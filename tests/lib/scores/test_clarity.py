"""Clarity of prompts, against cases worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lib.core.request import Message, Request
from lib.core.tokens import TokenKind
from lib.scores.clarity import (
    clarity_curve,
    long_enough,
    mean_curve,
    opening_entropy,
    paired_difference,
    prompt_familiarity,
    prompt_mask,
)
from tests.support.strategies import completion_of, tokens_of

DONE = completion_of(
    tokens_of("a", "b", "c", "d", "e", "f", logprobs=[math.nan, -1, -2, -3, -4, -6]),
    tokens_of("x", "y", "z", logprobs=[-1, -2, -6]),
    text="xyz",
)


def test_the_curve_by_hand() -> None:
    curve = clarity_curve(DONE, 5)
    np.testing.assert_allclose(curve[:3], [-1, -1.5, -3])
    assert np.isnan(curve[3:]).all()
    kinds = np.array([TokenKind.REASONING, TokenKind.TEXT, TokenKind.STOP], np.uint8)
    np.testing.assert_allclose(clarity_curve(replace(DONE, generated=DONE.generated.with_kinds(kinds)), 2)[:1], [-2])
    broken = completion_of(tokens_of("a"), tokens_of("x", "y", "z", logprobs=[-1, -math.inf, -1]), text="xyz")
    assert np.isnan(clarity_curve(broken)).tolist() == [False] + [True] * 19
    assert np.isnan(clarity_curve(completion_of(tokens_of("a"), tokens_of(), text=""))).all()


def test_the_mean_of_curves() -> None:
    curves = [np.array([-1.0, -2.0, math.nan]), np.array([-3.0, math.nan, math.nan])]
    np.testing.assert_array_equal(mean_curve(curves), [-2, -2, math.nan])
    assert long_enough(curves).tolist() == [2, 1, 0]


def test_the_prompt_without_what_nothing_prepares_for() -> None:
    assert prompt_mask(DONE).tolist() == [False] * 4 + [True] * 2
    found = prompt_familiarity(DONE)
    assert (found.scored, found.perplexity) == (2, pytest.approx(math.exp(5)))
    assert prompt_familiarity(DONE, everything=True).scored == 5


def test_the_prompt_without_its_template() -> None:
    words = ["<s>", "user", "\n", "Why", " is", " it", " so", " blue", "?", "<e>", "bot", "?"]
    tokens = tokens_of(*words, logprobs=[-1.0] * len(words))
    kinds = np.array([TokenKind.SPECIAL if word[0] == "<" else TokenKind.TEXT for word in words], np.uint8)
    request = Request(messages=(Message("user", " Why is it so blue? "),))
    done = completion_of(tokens.with_kinds(kinds), tokens_of("x"), text="x")
    counted = prompt_mask(replace(done, request=request))
    assert [words[place] for place in np.flatnonzero(counted)] == [" blue", "?"]
    everything = prompt_mask(replace(done, request=request), everything=True)
    assert everything.sum() == len(words) - 2


def test_where_nothing_is_known_of_the_beginning() -> None:
    assert all(map(math.isnan, opening_entropy(DONE)))
    assert all(map(math.isnan, opening_entropy(completion_of(tokens_of("a"), tokens_of(), text=""))))


def test_paired_differences_by_hand() -> None:
    found = paired_difference([3, 5, 7], [1, 2, 3])  # 2, 3, 4: mean 3, deviation 1, t = 4.303
    assert found.mean == pytest.approx(3)
    assert (found.low, found.high) == (pytest.approx(3 - 4.303 / math.sqrt(3)), pytest.approx(3 + 4.303 / math.sqrt(3)))
    assert paired_difference([1, math.nan, 3], [0, 0, 0]).pairs == 2
    one = paired_difference([1], [2])
    assert (one.mean, one.pairs) == (-1, 1)
    assert math.isnan(one.low)
    assert math.isnan(paired_difference([], []).mean)
    many = paired_difference([0, 2] * 50, [0] * 100)
    assert many.high - many.mean == pytest.approx(1.96 * np.std([0, 2] * 50, ddof=1) / 10)
