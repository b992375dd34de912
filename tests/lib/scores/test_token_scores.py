from __future__ import annotations

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.tokens import NO_TOKENS, TokenKind, Tokens
from lib.scores.token_scores import (
    Span,
    Summary,
    answer_mask,
    boosted_probability,
    chosen_listed,
    entropy_bounds,
    has_alternatives,
    least_confident_span,
    margin,
    others_mass,
    probability,
    seen_mass,
    summarise,
    summarise_answer,
    summarise_prompt,
    surprisal,
)
from lib.segmentation.cells import Cells
from tests.support.strategies import INF, NAN, completion_of, distribution, table_of, tokens_of, tokens_on

LN2 = math.log(2)


def row(chosen: int, logprob: float, listed: dict[int, float], k: int | None = None) -> Tokens:
    """One token among the letters a, b, c, …, with the alternatives listed (row to probability)."""
    missing = (k or len(listed)) - len(listed)
    with np.errstate(divide="ignore"):
        top = [*np.log(list(listed.values())), *[NAN] * missing]
    return tokens_on(
        table_of(*"abcdefgh"),
        [chosen],
        logprobs=[logprob],
        top_refs=[[*listed, *[-1] * missing]],
        top_logprobs=[top],
    )


def test_surprisal_and_probability_by_hand() -> None:
    tokens = tokens_of("a", "b", "c", "d", logprobs=[NAN, -LN2, 0, -INF])
    assert surprisal(tokens).tolist() == pytest.approx([NAN, LN2, 0, INF], nan_ok=True)
    assert probability(tokens).tolist() == pytest.approx([NAN, 0.5, 1, 0], nan_ok=True)
    assert surprisal(tokens).dtype == probability(tokens).dtype == np.float64


def test_the_chosen_token_counts_once_in_the_mass() -> None:
    assert seen_mass(row(0, math.log(0.5), {0: 0.5, 1: 0.25}))[0] == pytest.approx(0.75)
    assert seen_mass(row(2, math.log(0.125), {0: 0.5, 1: 0.25}))[0] == pytest.approx(0.875)
    assert others_mass(row(2, math.log(0.125), {0: 0.5, 1: 0.25}))[0] == pytest.approx(0.125)
    assert others_mass(row(0, math.log(0.5), {0: 0.5, 1: 0.25}, k=5))[0] == pytest.approx(0.25)
    assert others_mass(tokens_of("a", logprobs=[math.log(0.5)]))[0] == pytest.approx(0.5)


def test_the_mass_of_an_unscored_token_is_unknown() -> None:
    assert np.isnan(others_mass(row(0, NAN, {1: 0.5, 2: 0.25}))).all()
    assert np.isnan(seen_mass(tokens_of("a"))).all()


def test_others_never_fall_below_nothing() -> None:
    assert others_mass(row(0, math.log(0.6), {0: 0.6, 1: 0.40001}))[0] == 0


def test_the_chosen_token_is_found_in_the_list_by_reference() -> None:
    pieces = table_of("a", "b")
    tokens = tokens_on(
        pieces, [0, 0, -1], top_refs=[[1, 0], [1, -1], [1, -1]], top_logprobs=[[-1, -2], [-1, NAN], [-1, NAN]]
    )
    assert chosen_listed(tokens).tolist() == [True, False, False]  # unknown is not found in what is missing
    assert chosen_listed(tokens_of("a")).tolist() == [False]


def test_one_alternative_says_nothing_of_the_distribution() -> None:
    assert has_alternatives(row(0, -1, {0: 0.5})).tolist() == [False]
    assert has_alternatives(row(0, -1, {0: 0.5}, k=3)).tolist() == [False]
    assert has_alternatives(row(0, -1, {0: 0.5, 1: 0.2}, k=3)).tolist() == [True]
    assert has_alternatives(row(0, NAN, {0: 0.5, 1: 0.2})).tolist() == [False]
    assert has_alternatives(row(0, -1, {0: 0.5, 1: 0.2}), at_least=3).tolist() == [False]


def bounds(tokens: Tokens, vocabulary_size: int | None) -> tuple[float, float]:
    low, high = entropy_bounds(tokens, vocabulary_size)
    assert low.shape == high.shape == (len(tokens),)
    return float(low[0]), float(high[0])


def test_entropy_by_hand() -> None:
    everything = {0: 0.5, 1: 0.25, 2: 0.125, 3: 0.125}
    assert bounds(row(0, math.log(0.5), everything), 4) == pytest.approx((1.75 * LN2, 1.75 * LN2), abs=1e-5)
    # A half is seen exactly. The other half: at least two tokens of a quarter, at most spread over six.
    half = row(0, math.log(0.25), {0: 0.25, 1: 0.25})
    assert bounds(half, 8) == pytest.approx((2 * LN2, LN2 + 0.5 * math.log(6 / 0.5)), abs=1e-6)
    assert bounds(half, None) == pytest.approx((2 * LN2, INF), abs=1e-6)


def test_a_certain_choice_has_no_entropy() -> None:
    certain = row(0, 0.0, {0: 1.0, 1: 0.0, 2: 0.0})
    assert bounds(certain, 50_000) == (0, 0)
    assert margin(certain).tolist() == [1.0]
    assert bounds(certain, None) == (0, 0)


def test_rounding_is_not_taken_for_unseen_tokens() -> None:
    everything = row(0, math.log(0.5), {0: 0.5, 1: 0.4999998})
    assert bounds(everything, None) == pytest.approx((LN2, LN2), abs=1e-5)


def test_entropy_is_unknown_without_alternatives() -> None:
    assert np.isnan(bounds(row(0, -1, {0: 0.5}, k=4), 9)).all()
    assert np.isnan(bounds(tokens_of("a", logprobs=[-1]), 9)).all()
    assert np.isnan(bounds(row(0, NAN, {0: 0.5, 1: 0.5}), 9)).all()


LOGITS = st.lists(st.floats(-12, 6), min_size=3, max_size=30)


@given(LOGITS, st.data())
def test_the_bracket_holds_the_true_entropy(logits: list[float], data: st.DataObject) -> None:
    size = len(logits)
    k = data.draw(st.integers(2, size))
    tokens = distribution(logits, data.draw(st.integers(0, size - 1)), k)
    exact = np.array(logits)
    weights = np.exp(exact - exact.max())
    p = weights / weights.sum()
    truth = -(p * np.log(p)).sum()
    low, high = bounds(tokens, size)
    assert low - 1e-4 <= truth <= high + 1e-4
    assert bounds(tokens, None)[0] == low
    assert bounds(tokens, size * 1000)[1] >= high
    if k == size:
        assert high - low < 1e-4


@given(LOGITS, st.data())
def test_the_bracket_narrows_with_a_longer_list(logits: list[float], data: st.DataObject) -> None:
    chosen = data.draw(st.integers(0, len(logits) - 1))
    ways = [bounds(distribution(logits, chosen, k), len(logits)) for k in range(2, len(logits) + 1)]
    for (low, high), (next_low, next_high) in pairwise(ways):
        assert next_low >= low - 1e-4
        assert next_high <= high + 1e-4


@given(LOGITS, st.data())
def test_others_are_what_the_list_leaves(logits: list[float], data: st.DataObject) -> None:
    k, chosen = data.draw(st.integers(0, len(logits))), data.draw(st.integers(0, len(logits) - 1))
    p = np.exp(np.array(logits) - max(logits))
    p /= p.sum()
    seen = {chosen, *np.argsort(-p, kind="stable")[:k].tolist()}
    rest = sum(p[token] for token in range(len(p)) if token not in seen)
    assert others_mass(distribution(logits, chosen, k))[0] == pytest.approx(rest, abs=1e-6)


def test_a_token_among_near_equals_counts_with_them() -> None:
    near = {0: 0.4, 1: 0.35, 2: 0.1, 3: 0.08}
    assert boosted_probability(row(0, math.log(0.4), near))[0] == pytest.approx(0.75)
    assert boosted_probability(row(1, math.log(0.35), near))[0] == pytest.approx(0.75)
    assert boosted_probability(row(2, math.log(0.1), near))[0] == pytest.approx(0.1)  # it is not one of them
    assert boosted_probability(row(7, math.log(0.01), near))[0] == pytest.approx(0.01)
    shuffled = {2: 0.1, 1: 0.35, 3: 0.08, 0: 0.4}
    assert boosted_probability(row(1, math.log(0.35), shuffled))[0] == pytest.approx(0.75)


def test_the_last_steep_fall_ends_the_near_equals() -> None:
    stairs = {0: 0.6, 1: 0.2, 2: 0.05, 3: 0.049}  # 0.05 to 0.049 is not steep; beyond the list nothing is known
    assert boosted_probability(row(1, math.log(0.2), stairs))[0] == pytest.approx(0.8)
    assert boosted_probability(row(2, math.log(0.05), stairs))[0] == pytest.approx(0.05)
    slight = {0: 0.9, 1: 0.004, 2: 0.001}  # steep, but by less than 0.005
    assert boosted_probability(row(1, math.log(0.004), slight))[0] == pytest.approx(0.004)
    flat = {0: 0.2, 1: 0.2, 2: 0.2, 3: 0.2}
    assert boosted_probability(row(1, math.log(0.2), flat))[0] == pytest.approx(0.2)


def test_without_two_alternatives_nothing_is_boosted() -> None:
    assert np.isnan(boosted_probability(row(0, -1, {0: 0.5}, k=3))[0])
    assert np.isnan(boosted_probability(tokens_of("a", logprobs=[-1]))[0])
    assert boosted_probability(row(0, math.log(0.6), {0: 0.6, 1: 0.3}, k=5))[0] == pytest.approx(
        0.6
    )  # padding is no fall


def test_margin_by_hand() -> None:
    assert margin(row(3, -9, {0: 0.5, 1: 0.2, 2: 0.1}))[0] == pytest.approx(0.3)
    assert margin(row(0, -1, {1: 0.2, 0: 0.5}))[0] == pytest.approx(0.3)  # whatever order a service lists them in
    assert margin(row(0, -1, {0: 0.5, 1: 0.5}, k=5))[0] == pytest.approx(0)
    assert np.isnan(margin(row(0, -1, {0: 0.5}, k=3))[0])
    assert np.isnan(margin(row(0, -1, {0: 0.5}))[0])
    assert np.isnan(margin(tokens_of("a", logprobs=[-1]))[0])


def test_a_summary_leaves_out_what_is_unscored_and_counts_what_is_impossible() -> None:
    tokens = tokens_of("a", "b", "c", "d", logprobs=[NAN, -1, -INF, -3])
    assert summarise(tokens) == Summary(
        scored=3, impossible=1, mean_logprob=-2.0, perplexity=pytest.approx(math.exp(2)), span=None
    )
    assert summarise(tokens, np.array([True, True, False, False])).mean_logprob == -1


@pytest.mark.parametrize("logprobs", [[], [NAN], [-INF], [NAN, -INF]])
def test_a_summary_of_nothing_is_unknown(logprobs: list[float]) -> None:
    summary = summarise(tokens_of(*"ab"[: len(logprobs)], logprobs=logprobs))
    assert math.isnan(summary.mean_logprob)
    assert math.isnan(summary.perplexity)
    assert summary.impossible == sum(math.isinf(each) for each in logprobs)
    assert summary.span is None


def test_an_enormous_perplexity_is_infinite() -> None:
    assert summarise(tokens_of("a", logprobs=[-3e38])).perplexity == INF
    assert summarise(tokens_of("a", logprobs=[0])).perplexity == 1


@given(st.lists(st.sampled_from([NAN, -INF, -0.5, -1.0, -2.0, -4.0]), max_size=14), st.data())
def test_the_least_confident_span_is_the_lowest_full_window(logprobs: list[float], data: st.DataObject) -> None:
    n = len(logprobs)
    tokens = tokens_on(table_of("a"), [0] * n, logprobs=logprobs)
    mask = np.array(data.draw(st.lists(st.sampled_from([True, True, True, False]), min_size=n, max_size=n)), bool)
    window = data.draw(st.integers(1, 5))
    means = {
        first: sum(logprobs[first : first + window]) / window
        for first in range(n - window + 1)
        if mask[first : first + window].all() and np.isfinite(logprobs[first : first + window]).all()
    }
    found = least_confident_span(tokens, mask, window)
    if not means:
        assert found is None
        return
    first = min(means, key=lambda each: (means[each], each))
    assert found == Span(first, first + window, pytest.approx(means[first]))


KINDS = [TokenKind.TEXT, TokenKind.SPECIAL, TokenKind.STOP, TokenKind.REASONING, TokenKind.TOOL, TokenKind.IMAGE]


def test_an_answer_is_text_and_tool_calls() -> None:
    tokens = tokens_of(*"abcdef", kinds=KINDS)
    assert answer_mask(tokens).tolist() == [True, False, False, False, True, False]
    assert answer_mask(tokens, reasoning=True).tolist() == [True, False, False, True, True, False]
    assert answer_mask(tokens, stop=True).tolist() == [True, False, True, False, True, False]


def test_reasoning_is_left_out_of_the_answer_unless_asked_for() -> None:
    answer = tokens_of(*"abcdef", kinds=KINDS, logprobs=[-1, -2, -4, -8, -3, -16])
    done = completion_of(answer, answer)
    assert summarise_answer(done).mean_logprob == -2
    assert summarise_answer(done, reasoning=True).mean_logprob == -4
    assert summarise_prompt(done).mean_logprob == -1
    assert summarise_answer(completion_of(NO_TOKENS, NO_TOKENS)).scored == 0


def cells_with(*sizes: int) -> Cells:
    first = np.cumsum([0, *sizes]).astype(np.int32)
    return Cells(first, "x" * len(sizes), np.arange(len(sizes) + 1, dtype=np.int32), np.zeros(len(sizes), bool))


def test_no_score_warns_of_odd_numbers() -> None:
    odd = row(0, -INF, {0: 0.0, 1: 0.0}, k=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for tokens in (odd, NO_TOKENS, tokens_of("a"), odd[:0]):
            for score in (surprisal, probability, seen_mass, others_mass, margin, boosted_probability, summarise):
                score(tokens)
            entropy_bounds(tokens, 9)
            entropy_bounds(tokens, None)
