"""Answering only when sure: what share of answers is kept, and how many of those are wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

from lib.statistics.bootstrap import Statistic, Weights, ordered, summed

Scores = NDArray[np.floating]
Outcomes = NDArray[np.bool_]
Column = NDArray[np.float64]

_FEWEST_SEEN = 10  # kept answers below which a threshold's risk is not taken as what more labels would show
_MOST_TIMES = 1_000  # times the labels there are
_LOOKED_AT = 200  # thresholds


@dataclass(frozen=True)
class RiskCoverage:
    """For each threshold, most confident answers first: the share of answers kept, and how much of it is wrong."""

    threshold: Column  # [m] keep scores of at least this
    coverage: Column  # [m]
    risk: Column  # [m]


def risk_coverage(scores: Scores, right: Outcomes) -> RiskCoverage:
    """The risk–coverage curve; equal scores are kept or left together."""
    order, last = _most_confident_first(scores)
    kept = np.arange(1, len(order) + 1)[last]
    wrong = np.cumsum(~np.asarray(right, bool)[order])[last]
    return RiskCoverage(np.asarray(scores, np.float64)[order][last], kept / len(order), wrong / kept)


def aurc(scores: Scores, right: Outcomes) -> Statistic:
    """The area under the risk–coverage curve: mean risk over all coverages (Geifman et al. 2019). Lower is better."""
    return _area(scores, right, generalized=False)


def augrc(scores: Scores, right: Outcomes) -> Statistic:
    """The area under the generalized risk–coverage curve: wrong *and* kept, of all answers (Traub et al. 2024).

    Unlike AURC it does not weight the few most confident answers most. Lower is better; a score that says nothing has
    half the error rate.
    """
    return _area(scores, right, generalized=True)


def references(right: Outcomes, *, generalized: bool = False) -> tuple[float, float]:
    """AURC or AUGRC of a score that says nothing, and of one that puts every right answer before every wrong one."""
    n = len(right)
    wrong = int((~np.asarray(right, bool)).sum())
    kept = np.arange(1, n + 1)
    errors = np.maximum(kept - (n - wrong), 0)
    ideal = errors / n if generalized else errors / kept
    said_nothing = wrong / n * (kept.mean() / n if generalized else 1)
    return float(said_nothing), float(ideal.mean())


@dataclass(frozen=True)
class Guarantee:
    """A threshold above which the share of wrong answers is at most `risk`, with a given confidence."""

    threshold: float  # keep scores of at least this
    kept: int  # answers at or above it, of those that it was chosen on
    wrong: int  # of these
    n: int  # answers that it was chosen on
    risk: float
    confidence: float

    @property
    def coverage(self) -> float:
        """The share of answers kept."""
        return self.kept / self.n

    @property
    def wrong_range(self) -> tuple[int, int]:
        """How many of as many kept answers will be wrong: the upper end holds with the guarantee's confidence.

        Exact binomial limits of the risk (Clopper & Pearson 1934), each with that confidence, times the answers kept.
        """
        miss = 1 - self.confidence
        low = float(beta.ppf(miss, self.wrong, self.kept - self.wrong + 1)) if self.wrong else 0.0
        high = float(beta.ppf(1 - miss, self.wrong + 1, self.kept - self.wrong)) if self.wrong < self.kept else 1.0
        return math.ceil(low * self.kept), math.floor(high * self.kept)


def guaranteed(
    scores: Scores, right: Outcomes, risk: float, *, confidence: float = 0.9, steps: int = 50
) -> Guarantee | None:
    """The lowest threshold that is shown to keep the share of wrong answers at or below `risk`; None if none is.

    Thresholds are tested from the strictest down, each by the exact binomial test of "the risk is higher", until the
    first that fails. As their order is fixed by the scores alone, the chance that the chosen one breaks the promise is
    at most 1 − confidence (Angelopoulos et al. 2021, "Learn then Test", fixed sequence). It holds for answers like
    these: same model, same prompt, same kind of question.

    steps: thresholds to test, at equal distances in coverage.
    """
    curve = risk_coverage(scores, right)
    n = len(right)
    kept = np.rint(curve.coverage * n).astype(int)
    wrong = np.rint(curve.risk * kept).astype(int)
    found = None
    for place in _tested(kept, fewest_kept(risk, confidence), steps):
        if binom.cdf(wrong[place], kept[place], risk) > 1 - confidence:
            break
        threshold = float(curve.threshold[place])
        found = Guarantee(threshold, int(kept[place]), int(wrong[place]), n, risk, confidence)
    return found


def fewest_kept(risk: float, confidence: float = 0.9) -> int:
    """How many answers, all of them right, it takes to show a risk: 22 for 10% and 45 for 5% at 90%."""
    return int(np.ceil(np.log(1 - confidence) / np.log(1 - risk)))


def labels_needed(scores: Scores, right: Outcomes, risk: float, *, confidence: float = 0.9) -> int | None:
    """About how many labelled answers would show a risk, if confident answers stay as right as they are here.

    None if no threshold keeps fewer wrong answers than the risk allows, so that more labels would not help.
    """
    n, fewest = len(right), fewest_kept(risk, confidence)
    curve = risk_coverage(scores, right)
    best = None
    places = np.unique(np.linspace(0, len(curve.risk) - 1, _LOOKED_AT).astype(int))
    for kept, share in zip(curve.coverage[places] * n, curve.risk[places], strict=True):
        if share >= risk or kept < _FEWEST_SEEN:
            continue
        times = np.geomspace(1, _MOST_TIMES, 400)
        shown = binom.cdf(np.ceil(times * share * kept - 1e-9), np.floor(times * kept), risk) <= 1 - confidence
        enough = times[shown & (np.floor(times * kept) >= fewest)]
        if len(enough):
            best = min(best or n * _MOST_TIMES, math.ceil(n * float(enough[0])))
    return best


def _tested(kept: NDArray[np.int_], fewest: int, steps: int) -> list[int]:
    """The places of the thresholds to test. The first keeps as many as any proof needs, whatever the outcomes are."""
    n = int(kept[-1])
    wanted = np.unique(np.linspace(min(fewest, n), n, steps).astype(int))
    return [int(place) for place in dict.fromkeys(np.searchsorted(kept, wanted))]


def _most_confident_first(scores: Scores) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows, highest score first, and the last place of each score."""
    values = np.asarray(scores, np.float64)
    order = np.argsort(-values, kind="stable")
    return order, np.flatnonzero(np.append(np.diff(values[order]) != 0, True))


def _area(scores: Scores, right: Outcomes, *, generalized: bool) -> Statistic:
    order, last = _most_confident_first(scores)
    first = np.append(0, last[:-1] + 1)
    wrong = (~np.asarray(right, bool))[order]

    def statistic(weights: Weights) -> Column:
        taken = ordered(weights, order)
        size = summed(taken, first)
        kept, errors = size.cumsum(1), summed(taken * wrong, first).cumsum(1)
        total = kept[:, -1:]
        with np.errstate(invalid="ignore"):
            risk = np.where(kept > 0, errors / (total if generalized else kept), 0.0)
        found: Column = (risk * size).sum(1) / total[:, 0]
        return found

    return statistic
