"""Over- or underconfident, or not shown by this much data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from lib.statistics.bootstrap import Interval
from lib.statistics.calibration import binned
from lib.statistics.shares import gap_within


class Verdict(StrEnum):
    """Whether mean confidence is above or below the share of right answers."""

    OVER = "over"
    UNDER = "under"
    NOT_SHOWN = "not shown"


def verdict(found: Interval) -> Verdict:
    """What the interval of mean confidence minus accuracy shows.

    Of perfectly calibrated models, one in twenty is called over- or underconfident by a 95 % interval.
    """
    if found.low > 0:
        return Verdict.OVER
    if found.high < 0:
        return Verdict.UNDER
    return Verdict.NOT_SHOWN


@dataclass(frozen=True)
class Slice:
    """Some of the rows: those of one bin of confidence, or with one value in a column."""

    name: str
    rows: NDArray[np.intp]
    confidence: float  # mean
    accuracy: float
    gap: Interval  # confidence minus accuracy


def by_slice(
    p: NDArray[np.floating],
    right: NDArray[np.bool_],
    names: Sequence[str],
    groups: Sequence[object] | None = None,
    *,
    seed: int = 0,
) -> list[Slice]:
    """The rows of each name, most rows first. groups: as for `intervals`."""
    labels = np.asarray(names, object)
    found = []
    for name in dict.fromkeys(names):
        rows = np.flatnonzero(labels == name)
        inside = None if groups is None else [groups[int(row)] for row in rows]
        measured = gap_within(p[rows], right[rows], inside, seed=seed)
        found.append(Slice(name, rows, float(p[rows].mean()), float(right[rows].mean()), measured))
    return sorted(found, key=lambda each: (-len(each.rows), each.name))


def by_confidence(p: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 10, *, seed: int = 0) -> list[Slice]:
    """The rows of each bin of equal mass, least confident first; a bin's name is its range."""
    number = binned(p, bins)
    inside = {each: 100 * p[number == each] for each in set(number.tolist())}
    ranges = {each: f"probability {values.min():.0f}–{values.max():.0f}%" for each, values in inside.items()}
    slices = by_slice(p, right, [f"{each:04d}" for each in number], seed=seed)
    slices.sort(key=lambda each: each.name)
    return [Slice(ranges[int(each.name)], each.rows, each.confidence, each.accuracy, each.gap) for each in slices]
