"""Whether stated probabilities of being right come true. Probabilities are float[n], outcomes bool[n].

Raw scores are mapped to probabilities first: see `recalibration`. Nothing here takes a raw score. The measures also
take outcomes of several worlds at once, bool[d, n], and then return one value for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

from lib.statistics.bootstrap import Statistic, Weights

Probabilities = NDArray[np.floating]
Outcomes = NDArray[np.bool_]
Column = NDArray[np.float64]

BINS = 15  # of equal mass, at most
_FEWEST = 5  # rows of a bin
_CLIP = 1e-12  # distance of a probability from 0 and 1 in log loss
_WAVES = 128  # cosines that the kernel of the smooth ECE is made of: enough for the narrowest
_GRID = 256  # places at which the smooth ECE is summed
_NARROWEST = 0.0125  # kernel width, as a probability
_MOST_VALUES = 1_000  # of a band's draws
_STEPS = 12  # halvings in the search for the width


def accuracy(right: Outcomes) -> Statistic:
    """The share of right answers."""
    return _mean_of(np.asarray(right, np.float64))


def mean(values: Column, where: Outcomes | None = None) -> Statistic:
    """The mean of a column. where: of these rows only; NaN if a draw has none of them."""
    column = np.asarray(values, np.float64)
    if where is None:
        return _mean_of(column)
    inside = np.asarray(where, np.float64)

    def statistic(weights: Weights) -> Column:
        with np.errstate(invalid="ignore"):
            found: Column = _over_rows(weights, inside * column) / _over_rows(weights, inside)
        return found

    return statistic


def gap(p: Probabilities, right: Outcomes) -> Statistic:
    """Mean probability minus the share of right answers: positive if overconfident."""
    return _mean_of(np.asarray(p, np.float64) - right)


def brier(p: Probabilities, right: Outcomes) -> Statistic:
    """The Brier score: mean (p − y)² (Brier 1950)."""
    return _mean_of((np.asarray(p, np.float64) - right) ** 2)


def log_loss(p: Probabilities, right: Outcomes) -> Statistic:
    """Log loss in nats: mean −log of the probability given to the outcome."""
    stated = np.clip(np.where(right, p, 1 - np.asarray(p, np.float64)), _CLIP, 1)
    return _mean_of(-np.log(stated))


def smooth_ece(p: Probabilities, right: Outcomes) -> Statistic:
    """The smooth ECE of Błasiok & Nakkiran (2023): the residuals y − p, smoothed by a Gaussian kernel over p.

    The kernel is reflected at 0 and 1, and its width is the one that equals the result; no bins, no setting.
    """
    p = np.asarray(p, np.float64)
    waves = np.arange(_WAVES) * np.pi
    cosines = np.cos(np.outer(p, waves)).astype(np.float32)  # [n, waves]
    residuals = (right - p).astype(np.float32)
    at = np.cos(np.outer((np.arange(_GRID) + 0.5) / _GRID, waves)).T * np.where(waves > 0, 2, 1)[:, None]

    def statistic(weights: Weights) -> Column:
        shares = weights.astype(np.float32) * residuals / weights.sum(1, keepdims=True)
        spectrum = (shares @ cosines).astype(np.float64)  # [d, waves]

        def smoothed(width: Column) -> Column:
            damped = spectrum * np.exp(-0.5 * (width[:, None] * waves) ** 2)
            error: Column = np.abs(damped @ at).mean(1)
            return error

        low, high = np.full(len(spectrum), _NARROWEST), np.ones(len(spectrum))
        for _ in range(_STEPS):  # the smoothed error falls as the width grows
            middle = (low + high) / 2
            above = smoothed(middle) > middle
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return smoothed(high)

    return statistic


def debiased_ece(p: Probabilities, right: Outcomes, bins: int = BINS) -> Statistic:
    """The ℓ2 calibration error over bins of equal mass, without its bias (Kumar, Liang & Ma 2019, equation 4).

    √max(Σ wᵦ ((p̄ᵦ − ȳᵦ)² − ȳᵦ(1 − ȳᵦ)/(nᵦ − 1)), 0). The bins are those of all rows.
    """
    p = np.asarray(p, np.float64)
    number = binned(p, bins)
    count = int(number.max(initial=0)) + 1
    member = (number[:, None] == np.arange(count)).astype(np.float64)

    def statistic(weights: Weights) -> Column:
        inside = member.astype(weights.dtype)
        n, stated = weights @ inside, (weights * p.astype(weights.dtype)) @ inside
        true = (weights * right) @ inside
        with np.errstate(invalid="ignore", divide="ignore"):
            stated, true = stated / n, true / n
            bias = np.where(n > 1, true * (1 - true) / (n - 1), 0)
            errors = np.where(n > 0, n * ((stated - true) ** 2 - bias), 0)
        found: Column = np.sqrt(np.maximum(errors.sum(1) / n.sum(1), 0))
        return found

    return statistic


def binned(p: Probabilities, bins: int = BINS) -> NDArray[np.intp]:
    """int[n]: the bin of each row, of equal mass as far as equal probabilities stay together."""
    most = min(bins, max(len(p) // _FEWEST, 1))
    order = np.argsort(p, kind="stable")
    _, first, group = np.unique(np.asarray(p)[order], return_index=True, return_inverse=True)
    middle = np.append(first[1:], len(p)) + first
    number = np.empty(len(p), np.intp)
    number[order] = (middle * most // max(2 * len(p), 1))[group]
    return np.unique(number, return_inverse=True)[1]


@dataclass(frozen=True)
class Decomposition:
    """The Brier score as miscalibration − discrimination + uncertainty, by isotonic regression, without bins.

    Dimitriadis, Gneiting & Jordan (2021), "Stable reliability diagrams …" (CORP).
    """

    miscalibration: float  # what recalibrating would gain; 0 if perfectly calibrated
    discrimination: float  # what telling right from wrong gains over always stating the accuracy
    uncertainty: float  # of the outcomes: accuracy × (1 − accuracy)


def decomposed(p: Probabilities, right: Outcomes) -> Decomposition:
    """The decomposition of the Brier score."""
    outcomes = np.asarray(right, np.float64)
    best = recalibrated(p, right)
    overall, ours = float(outcomes.var()), float(((p - outcomes) ** 2).mean())
    ideal = float(((best - outcomes) ** 2).mean())
    return Decomposition(ours - ideal, overall - ideal, overall)


def recalibrated(p: Probabilities, right: Outcomes) -> Column:
    """float[n]: the share of right answers as a non-decreasing function of the probability, by isotonic regression."""
    values, number, counts = np.unique(p, return_inverse=True, return_counts=True)
    shares = np.bincount(number, np.asarray(right, np.float64), len(values)) / counts
    fitted: Column = isotonic_regression(shares, sample_weight=counts.astype(np.float64), y_min=0, y_max=1)
    return fitted[number]


@dataclass(frozen=True)
class Reliability:
    """The reliability diagram: isotonic line, and the band in which it lies if the probabilities are perfect."""

    p: Column  # [m] the distinct probabilities, rising
    n: NDArray[np.intp]  # [m] rows of each
    right: Column  # [m] the line: the share of right answers
    low: Column  # [m] of the band
    high: Column  # [m]


def reliability(
    p: Probabilities, right: Outcomes, *, draws: int = 300, level: float = 0.95, seed: int = 0
) -> Reliability:
    """The line, and the band of lines refitted to outcomes drawn from the probabilities themselves."""
    p = np.asarray(p, np.float64)
    values, number, counts = np.unique(p, return_inverse=True, return_counts=True)
    low, high = _band(values.astype(np.float64), counts, draws, level, seed)
    shares = np.bincount(number, np.asarray(right, np.float64), len(values)) / counts
    line = isotonic_regression(shares, sample_weight=counts.astype(np.float64), y_min=0, y_max=1)
    return Reliability(values.astype(np.float64), counts, line, low, high)


def _band(
    values: Column, counts: NDArray[np.intp], draws: int, level: float, seed: int
) -> tuple[Column, Column]:  # fmt: skip
    """Both edges of the band at each value. Of very many values, neighbours are taken together for the draws."""
    part = np.arange(len(values)) * min(len(values), _MOST_VALUES) // len(values)
    n = np.bincount(part, counts)
    p = np.bincount(part, counts * values) / n
    random = np.random.default_rng(seed)
    lines = np.empty((draws, len(p)))
    for draw in range(draws):
        shares = random.binomial(n.astype(np.intp), np.clip(p, 0, 1)) / n
        lines[draw] = isotonic_regression(shares, sample_weight=n, y_min=0, y_max=1)
    low, high = np.quantile(lines, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.interp(values, p, low), np.interp(values, p, high)


@dataclass(frozen=True)
class Expected:
    """What perfectly calibrated probabilities would show on this many rows, as sampling alone makes errors."""

    median: float
    high: float  # only one in twenty perfect models shows more


def if_perfect(
    measure: Callable[[Probabilities, Outcomes], Statistic],
    p: Probabilities,
    *,
    draws: int = 300,
    level: float = 0.95,
    seed: int = 0,
) -> Expected:
    """A measure of miscalibration on outcomes drawn from the probabilities themselves."""
    outcomes = np.random.default_rng(seed).random((draws, len(p))) < p
    found = measure(p, outcomes)(np.ones((1, len(p))))
    median, high = np.quantile(found, [0.5, level])
    return Expected(float(median), float(high))


def _mean_of(column: Column) -> Statistic:
    """The weighted mean. In the precision of the weights: a product of matrices is fast only if both have the same."""

    def statistic(weights: Weights) -> Column:
        found: Column = _over_rows(weights, column) / weights.sum(1)
        return found

    return statistic


def _over_rows(weights: Weights, column: Column) -> Column:
    """float[d] or, of outcomes of several worlds, float[m]: the sum of a column, with each row's weight."""
    one = column.ndim == 1
    found: Column = np.asarray(weights @ column.astype(weights.dtype) if one else (weights * column).sum(1), np.float64)
    return found
