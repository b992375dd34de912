"""Bootstrap intervals of any statistic of labelled rows, by resampling rows within groups or whole groups.

A statistic takes the weights of the rows, float[d, n], and returns one value per draw, float[d]. A row that a draw took
twice has weight 2. So sorting and binning are done once, not once per draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.floating]  # [d, n]: single precision for draws, double for the estimate
Statistic = Callable[[Weights], NDArray[np.float64]]

DRAWS = 2_000
_MANY, _FEWER_DRAWS = 2_000, 1_000  # rows above which the limits are as steady with half the draws
LEVEL = 0.95
# Rows, groups, or rows of either class below which limits are unknown, as they would rest on one or two of them. Of
# draws from many rows, one in 150 has none of 5, and one in 7 none of 2.
FEWEST = 5
_EQUAL = 1e-6  # difference of limits below which it is rounding, as weights have single precision
_FEW = 4  # columns of a group that are added one by one
_AT_ONCE = 200_000  # weights at a time: what the processor's cache holds


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval. NaN where it is undefined, as AUROC is for one class.

    Unless said otherwise the interval is a percentile bootstrap interval, with limits of NaN if it is unknown.
    """

    value: float
    low: float
    high: float
    n: int  # rows that the estimate rests on
    groups: int = 0  # groups that were resampled; 0 if rows were

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


def intervals(
    statistics: Mapping[str, Statistic],
    n: int,
    *,
    groups: Sequence[object] | None = None,
    over_groups: bool = False,
    draws: int | None = None,
    seed: int = 0,
) -> dict[str, Interval]:
    """Estimates from all rows, and the intervals that 95% of the draws lie in (Efron's percentile method), by name.

    All statistics see the same draws. Limits are unknown for fewer than `FEWEST` rows or resampled groups, and where
    all draws agree, as resampling shows nothing then.

    groups: which group each row belongs to, such as its template; None for one group.
    draws: None for 2,000, or 1,000 of many rows.
    over_groups: resample whole groups rather than rows within each of them. The interval then holds for other groups of
    the same kind, not only for these.
    """
    if n == 0:
        return {name: Interval(np.nan, np.nan, np.nan, 0) for name in statistics}
    codes = codes_of(groups, n) if over_groups else _strata(codes_of(groups, n))
    count = int(codes.max()) + 1
    draws = draws or (DRAWS if n <= _MANY else _FEWER_DRAWS)
    found = drawn(statistics, codes, draws, over_groups=over_groups, seed=seed)
    resampled = count if over_groups else 0
    made = {}
    for name, statistic in statistics.items():
        value = float(statistic(np.ones((1, n)))[0])
        made[name] = Interval(value, *limits(found[name], draws), n, resampled)
    return made


def drawn(
    statistics: Mapping[str, Statistic], codes: NDArray[np.intp], draws: int, *, over_groups: bool, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """float[draws] of each statistic: its value in every draw; none of fewer than `FEWEST` rows, or groups to resample.

    codes: int[n], the number of each row's group. over_groups: as for `intervals`.
    """
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in statistics}
    if (int(codes.max()) + 1 if over_groups else len(codes)) >= FEWEST:
        for weights in _weights(codes, over_groups, draws, seed):
            for name, statistic in statistics.items():
                found[name].append(statistic(weights))
    return {name: np.concatenate(each) if each else np.empty(0) for name, each in found.items()}


def interval(statistic: Statistic, n: int, **options: Any) -> Interval:
    """The estimate and its interval of one statistic; the options are those of `intervals`."""
    return intervals({"": statistic}, n, **options)[""]


@dataclass(frozen=True)
class Both:
    """One figure with both of its intervals."""

    within: Interval  # rows resampled within groups: holds for rows like these
    over: Interval | None  # groups resampled: holds for other groups; None if there are fewer than `FEWEST`


def both_intervals(
    statistics: Mapping[str, Statistic], n: int, groups: Sequence[object] | None = None, *, seed: int = 0
) -> dict[str, Both]:
    """Several figures on the same draws, each with both intervals. groups: as for `intervals`."""
    several = groups if groups is not None and len(set(groups)) > 1 else None
    within = intervals(statistics, n, groups=several, seed=seed)
    enough = several is not None and len(set(several)) >= FEWEST
    over = intervals(statistics, n, groups=several, over_groups=True, seed=seed) if enough else {}
    return {name: Both(within[name], over.get(name)) for name in statistics}


def without_limits(both: Both) -> Both:
    """The figure with unknown intervals."""
    return Both(_without_limits(both.within), None if both.over is None else _without_limits(both.over))


def _without_limits(found: Interval) -> Interval:
    return replace(found, low=np.nan, high=np.nan)


def _strata(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """int[n]: the groups to resample rows within. Groups of one row, which always give that row, are put together."""
    alone = np.bincount(codes)[codes] == 1
    return np.unique(np.where(alone, -1, codes), return_inverse=True)[1]


def limits(values: NDArray[np.float64], draws: int) -> tuple[float, float]:
    """The quantiles between which 95% of the draws lie.

    NaN if the statistic was undefined in half of them, or if the draws agree.
    """
    values = values[~np.isnan(values)]
    if len(values) < max(draws / 2, 1):
        return np.nan, np.nan
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if high - low <= _EQUAL:
        return np.nan, np.nan
    return float(low), float(high)


def summed(values: Weights, first: NDArray[np.intp]) -> Weights:
    """The sums over groups of neighbouring columns. first: int[g], the first column of each group."""
    found: Weights
    if len(first) == values.shape[1]:  # no column has a neighbour in its group: adding nothing takes as long
        return values
    if len(first) == 1:
        found = values.sum(1, keepdims=True)
        return found
    sizes = np.diff(np.append(first, values.shape[1]))
    if sizes.max() > _FEW:
        found = np.add.reduceat(values, first, axis=1)
        return found
    found = values[:, first]  # faster where few columns have a neighbour
    for place in range(1, int(sizes.max())):
        larger = np.flatnonzero(sizes > place)
        found[:, larger] += values[:, first[larger] + place]
    return found


def ordered(weights: Weights, order: NDArray[np.intp]) -> Weights:
    """The columns in that order; a view if they are so already, or in the opposite order, as after a sort."""
    if order[0] <= order[-1]:
        return weights if _is_rising(order) else weights[:, order]
    return weights[:, ::-1] if _is_rising(order[::-1]) else weights[:, order]


def _is_rising(order: NDArray[np.intp]) -> bool:
    return bool((np.diff(order) == 1).all())


def codes_of(groups: Sequence[object] | None, n: int) -> NDArray[np.intp]:
    """int[n]: the number of each row's group. Raises ValueError if there is not one group per row."""
    if groups is None:
        return np.zeros(n, np.intp)
    if len(groups) != n:
        raise ValueError(f"{len(groups)} groups for {n} rows")
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(each, len(numbers)) for each in groups], np.intp)


def _weights(codes: NDArray[np.intp], over_groups: bool, draws: int, seed: int) -> Iterator[Weights]:
    """The weights of all draws, some draws at a time."""
    random = np.random.default_rng(seed)
    sizes, order = np.bincount(codes), np.argsort(codes, kind="stable")
    starts = np.cumsum(sizes) - sizes
    n, size_of, start_of = len(codes), sizes[codes].astype(np.float64), starts[codes]
    for first in range(0, draws, step := max(_AT_ONCE // n, 1)):
        count = min(step, draws - first)
        if over_groups:
            taken = _counted(random.integers(0, len(sizes), (count, len(sizes))), len(sizes))
            yield taken[:, codes]
            continue
        # For each place, a row of the same group.
        drawn = (random.random((count, n)) * size_of).astype(np.intp) + start_of
        yield _counted(order[drawn], n)


def _counted(drawn: NDArray[np.integer], n: int) -> Weights:
    """float[d, n]: how often each of n things was drawn in each row."""
    rows = np.arange(len(drawn))[:, None] * n
    return np.bincount((rows + drawn).ravel(), minlength=len(drawn) * n).reshape(len(drawn), n).astype(np.float32)
