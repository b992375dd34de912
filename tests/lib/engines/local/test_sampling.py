"""Tokens are sampled with the probabilities that temperature and top_p define."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lib.engines.local.sampling import choose


def _sampled(logits: list[float] | np.ndarray, temperature: float, top_p: float, samples: int = 20_000) -> np.ndarray:
    """How often each token was sampled, int [V]."""
    row = torch.tensor(np.asarray(logits), dtype=torch.float32)
    rng = np.random.default_rng(1)
    counts = np.zeros(len(row), int)
    for _ in range(samples // 500):
        chosen = choose(row.expand(500, -1), temperature, top_p, [rng] * 500)
        counts += np.bincount(chosen.numpy(), minlength=len(row))
    return counts


def _check(counts: np.ndarray, expected: np.ndarray) -> None:
    """Every share is within five standard deviations of its expectation, and exactly 0 if that is 0."""
    total = counts.sum()
    spread = np.sqrt(total * expected * (1 - expected))
    assert (np.abs(counts - total * expected) <= 5 * spread).all()


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


_LOGITS = np.log([0.5, 0.05, 0.3, 0.1, 0.05])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 5.0])
def test_temperature(temperature: float) -> None:
    _check(_sampled(_LOGITS, temperature, 1.0), _softmax(_LOGITS / temperature))


@pytest.mark.parametrize(
    ("top_p", "nucleus"), [(0.4, [0]), (0.5001, [0, 2]), (0.79, [0, 2]), (0.81, [0, 2, 3]), (1e-6, [0])]
)
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p: float, nucleus: list[int]) -> None:
    kept = np.zeros(5)
    kept[nucleus] = np.exp(_LOGITS)[nucleus]
    _check(_sampled(_LOGITS, 1.0, top_p), kept / kept.sum())


def test_top_p_counts_after_temperature() -> None:
    hot = _softmax(_LOGITS / 2.0)
    order = np.argsort(-hot)
    kept = np.where(np.isin(np.arange(5), order[: 1 + int((hot[order].cumsum() < 0.7).sum())]), hot, 0)
    _check(_sampled(_LOGITS, 2.0, 0.7), kept / kept.sum())


def test_a_nucleus_larger_than_the_shortlist() -> None:
    logits = np.zeros(2000)
    logits[:100] = 1.0  # 100 e against 1900: the nucleus of 0.8 has all of the former and most of the latter
    counts = _sampled(logits, 1.0, 0.8, samples=20_000)
    weights = np.exp(logits) / np.exp(logits).sum()
    allowed = 100 + int(np.ceil((0.8 - weights[:100].sum()) / weights[-1]))
    assert (counts > 0).sum() == pytest.approx(allowed, abs=2)
    share = weights[:100].sum() / 0.8
    assert counts[:100].sum() / counts.sum() == pytest.approx(share, abs=0.01)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    """One row overflows the shortlist; the other samples the same token as alone."""
    flat, sharp = torch.zeros(1, 3000), torch.zeros(1, 3000)
    sharp[0, 5] = 20.0
    sharp[0, 9] = 19.0
    both = choose(torch.cat([sharp, flat]), 1.0, 0.9, [np.random.default_rng(3), np.random.default_rng(4)])
    assert both[0] == choose(sharp, 1.0, 0.9, [np.random.default_rng(3)])[0]


def test_zero_is_greedy_and_coldest_is_nearly_so() -> None:
    logits = torch.tensor([[1.0, 5.0, 4.999, -30.0]])
    for temperature in (0.0, 1e-45, 1e-9, 1e-6, 1e-5):
        for top_p in (1.0, 0.5):
            rngs = [np.random.default_rng(2)]
            assert choose(logits, temperature, top_p, rngs).tolist() == [1]


@pytest.mark.parametrize("top_p", [1.0, 0.95])
def test_impossible_tokens_are_never_sampled(top_p: float) -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).expand(4, -1)

    class Edge:
        """A generator that returns a fixed number."""

        def __init__(self, value: float) -> None:
            self.value = value

        def random(self) -> float:
            return self.value

    rngs = [Edge(value) for value in (0.0, 0.4999, 0.5001, np.nextafter(1.0, 0.0))]
    assert choose(logits, 1.0, top_p, rngs).tolist() == [1, 1, 3, 3]  # type: ignore[arg-type]
