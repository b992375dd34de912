"""Bounds under other sampling settings always contain the exact result of the full distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.core.tokens import TokenKind, Tokens, concatenate, make_tokens
from lib.errors import InvalidRequest
from lib.scores.resampling import Resampled, Sampling, elsewhere, reason_against, resample
from tests.support.strategies import completion_of, distribution, tokens_of

_CLOSE = 2e-6  # logprobs are kept in float32


def exact(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """float64[V]: the exact sampling probabilities, from the full distribution."""
    if sampling.temperature == 0:
        best = logits == logits.max()
        return best / best.sum()
    scaled = (logits - logits.max()) / sampling.temperature
    p = np.exp(scaled) / np.exp(scaled).sum()
    p = np.where(p >= sampling.min_p * p.max(), p, 0)
    p /= p.sum()
    if sampling.top_p == 1:
        return p
    order = np.argsort(-p, kind="stable")
    before = np.cumsum(p[order]) - p[order]
    p[order] = np.where(before < sampling.top_p, p[order], 0)
    return p / p.sum()


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, int, int, Sampling]:
    size = draw(st.integers(2, 9))
    logits = np.array(draw(st.lists(st.floats(-6, 6), min_size=size, max_size=size, unique=True)))
    sampling = Sampling(
        draw(st.sampled_from([0.2, 0.5, 0.9, 1.0, 1.1, 2.0, 4.0])),
        draw(st.sampled_from([1.0, 0.95, 0.8, 0.5, 0.1])),
        draw(st.sampled_from([0.0, 0.02, 0.1, 0.5])),
    )
    return logits, draw(st.integers(0, size - 1)), draw(st.integers(1, size)), sampling


def near_an_edge(logits: np.ndarray, sampling: Sampling) -> bool:
    """Whether rounding decides which tokens are excluded."""
    scaled = np.exp((logits - logits.max()) / sampling.temperature)
    kept = np.sort(np.where(scaled >= sampling.min_p, scaled, 0))[::-1]
    sums = np.cumsum(kept) / kept.sum()
    return bool((abs(scaled - sampling.min_p) < 1e-5).any() or (abs(sums - sampling.top_p) < 1e-5).any())


@settings(max_examples=400)
@given(cases(), st.booleans())
def test_the_bracket_holds_what_the_whole_distribution_gives(
    case: tuple[np.ndarray, int, int, Sampling], size_known: bool
) -> None:
    logits, chosen, k, sampling = case
    if near_an_edge(logits, sampling) and (sampling.top_p < 1 or sampling.min_p):
        return
    tokens = distribution(logits.tolist(), chosen, k)
    found = resample(tokens, sampling, len(logits) if size_known else None)
    wanted = exact(logits, sampling)
    listed = tokens.pieces.ids[tokens.top_refs[0]]
    for place, number in enumerate(listed):
        assert found.low[0, place] - _CLOSE <= wanted[number] <= found.high[0, place] + _CLOSE
    assert found.chosen_low[0] - _CLOSE <= wanted[chosen] <= found.chosen_high[0] + _CLOSE
    others = 1 - sum(wanted[number] for number in {*listed.tolist(), chosen})
    assert found.others_low[0] - 5 * _CLOSE <= others <= found.others_high[0] + 5 * _CLOSE
    kept = [number for number in {*listed.tolist(), chosen} if wanted[number] > 0]
    assert found.least[0] <= len(kept) <= found.most[0]


@settings(max_examples=100)
@given(cases())
def test_nothing_is_open_where_all_is_known(case: tuple[np.ndarray, int, int, Sampling]) -> None:
    logits, chosen, _, sampling = case
    if near_an_edge(logits, sampling) and (sampling.top_p < 1 or sampling.min_p):
        return
    found = resample(distribution(logits.tolist(), chosen, len(logits)), sampling, len(logits))
    np.testing.assert_allclose(found.low, found.high, atol=5 * _CLOSE)
    assert not found.beyond.any()


def one(*shares: float, chosen: int = 0, k: int = 2) -> Tokens:
    return distribution(np.log(shares).tolist(), chosen, k)


def resampled_at(tokens: Tokens, size: int | None = 4, **settings: float) -> Resampled:
    return resample(tokens, Sampling(**settings), size)


def test_as_it_was_at_temperature_one() -> None:
    found = resampled_at(one(0.5, 0.3, 0.15, 0.05))
    np.testing.assert_allclose(found.low, [[0.5, 0.3]], atol=1e-6)
    np.testing.assert_allclose(found.high, [[0.5, 0.3]], atol=1e-6)
    np.testing.assert_allclose([found.others_low, found.others_high], [[0.2], [0.2]], atol=1e-6)


def test_a_lower_temperature_by_hand() -> None:
    """Squares: 0.25 and 0.09 listed; two unlisted share 0.2, so from 2 · 0.1² to 0.2²."""
    found = resampled_at(one(0.5, 0.3, 0.15, 0.05), temperature=0.5)
    assert found.high[0, 0] == pytest.approx(0.25 / (0.34 + 0.02), abs=1e-5)
    assert found.low[0, 0] == pytest.approx(0.25 / (0.34 + 0.04), abs=1e-5)


def test_a_higher_temperature_by_hand() -> None:
    """Roots: 0.7071 and 0.5477 listed; two unlisted share 0.2: at most 2 · √0.1, at least √0.2."""
    found = resampled_at(one(0.5, 0.3, 0.15, 0.05), temperature=2)
    assert found.low[0, 0] == pytest.approx(0.70711 / (1.25483 + 0.63246), abs=1e-4)
    assert found.high[0, 0] == pytest.approx(0.70711 / (1.25483 + 0.44721), abs=1e-4)
    unbounded = resampled_at(one(0.5, 0.3, 0.15, 0.05), size=None, temperature=2)
    assert unbounded.low[0, 0] == 0


def test_greedy_takes_the_likeliest() -> None:
    found = resampled_at(one(0.5, 0.3, 0.15, 0.05, chosen=1), temperature=0)
    assert found.low.tolist() == found.high.tolist() == [[1, 0]]
    assert found.chosen_high.tolist() == [0]
    assert found.most.tolist() == [1]


def test_what_top_p_and_min_p_cut_off() -> None:
    found = resampled_at(one(0.5, 0.3, 0.15, 0.05), top_p=0.6)
    np.testing.assert_allclose(found.low, [[0.625, 0.375]], atol=1e-6)
    assert not found.beyond[0]
    assert resampled_at(one(0.5, 0.3, 0.15, 0.05), top_p=0.9).beyond[0]
    cut = resampled_at(one(0.5, 0.3, 0.15, 0.05), min_p=0.61)
    np.testing.assert_allclose(cut.high, [[1, 0]], atol=1e-6)
    assert (cut.least[0], cut.most[0]) == (1, 1)


def test_positions_of_which_nothing_is_known() -> None:
    tokens = concatenate([tokens_of("a"), tokens_of("b", logprobs=[-0.5])])
    found = resample(tokens, Sampling(), None)
    assert np.isnan(found.chosen_low).all()
    assert found.most.tolist() == [0, 0]


def test_a_chosen_token_of_no_probability() -> None:
    tokens = one(0.6, 0.4, 1e-300, chosen=2)
    found = resample(tokens, Sampling(0.7), 3)
    assert found.chosen_high[0] == pytest.approx(0, abs=1e-9)


def test_where_an_answer_could_have_gone_another_way() -> None:
    answer = concatenate([one(0.5, 0.5, k=2), one(0.9, 0.1, k=2), one(0.2, 0.8, k=2)])
    kinds = np.array([TokenKind.TEXT, TokenKind.TEXT, TokenKind.FORCED], np.uint8)
    done = completion_of(answer[:0], make_tokens(
        answer.pieces, answer.refs, logprobs=answer.logprobs, top_refs=answer.top_refs,
        top_logprobs=answer.top_logprobs, kinds=kinds,
    ))  # fmt: skip
    found = elsewhere(done, Sampling())
    assert found.rows.tolist() == [0, 1]
    np.testing.assert_allclose(found.low, [0.5, 0.1], atol=1e-5)
    assert np.exp(found.again_low) == pytest.approx(0.45, abs=1e-5)


def test_scores_after_sampling_are_refused() -> None:
    from dataclasses import replace

    done = completion_of(one(0.5, 0.5), one(0.5, 0.5))
    assert reason_against(done) == ""
    assert "not the model's own" in reason_against(replace(done, scale="processed"))


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_p": 0}, {"min_p": 1.5}, {"temperature": float("nan")}])
def test_settings_that_mean_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest):
        Sampling(**wrong)
