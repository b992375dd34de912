"""How well methods find errors: AUROC and average precision, pooled and within templates, and against a baseline.

Every figure has two intervals. One holds for these templates: rows are resampled within them or, where rows of one
entity belong together, entities are. The other holds for other templates: templates are resampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.doubts.graded import Column, Level
from lib.statistics.bootstrap import DRAWS, Interval, Statistic, Weights, codes_of, drawn, limits
from lib.statistics.discrimination import auroc, average_precision
from lib.statistics.multiple import holm
from lib.statistics.paired import chance_of_no_difference

FIGURES = ("auroc", "auroc within", "ap", "ap within")
_MANY = 3_000  # rows above which half the draws are as steady
_LARGEST = 1e9  # a confidence for what has none: infinite scores have no difference


@dataclass(frozen=True)
class Two:
    """A figure with both intervals."""

    here: Interval  # for these templates
    elsewhere: Interval  # for other templates

    @property
    def value(self) -> float:
        """The estimate."""
        return self.here.value


@dataclass(frozen=True)
class Against:
    """A method compared with the baseline on the same rows."""

    difference: Two
    ratio: Two
    p_value: float  # that there is no difference, the larger of both ways to resample
    adjusted: float  # Holm's over the methods of the level, peers apart; that of the primary comparison is not adjusted


@dataclass(frozen=True)
class Detected:
    """How well a method finds errors."""

    method: str
    missing: int  # rows without a score, which get the median of the others
    figures: Mapping[str, Two]  # by the names in FIGURES
    against: Against | None  # None for the baseline itself


def average_precision_within(scores: Column, right: NDArray[np.bool_], groups: Sequence[object]) -> Statistic:
    """The average precision of wrong rows within each group, averaged with their number of wrong rows as weight."""
    codes = codes_of(groups, len(scores))
    places = [np.flatnonzero(codes == each) for each in range(int(codes.max(initial=-1)) + 1)]
    parts = [(own, average_precision(scores[own], right[own], of_wrong=True)) for own in places]

    def statistic(weights: Weights) -> NDArray[np.float64]:
        total, wrong = np.zeros(len(weights)), np.zeros(len(weights))
        for own, part in parts:
            count = (weights[:, own] * ~right[own]).sum(1)
            with np.errstate(invalid="ignore"):
                total += np.where(count > 0, count * np.nan_to_num(part(weights[:, own])), 0.0)
            wrong += count
        with np.errstate(invalid="ignore"):
            found: NDArray[np.float64] = np.where(wrong > 0, total / np.maximum(wrong, 1e-9), np.nan)
        return found

    return statistic


def detected(level: Level, draws: int | None = None, *, primary: bool = False) -> list[Detected]:
    """Every method of a level on the same rows and draws, the default first, then as they are.

    draws: None for 2,000, or 1,000 of many rows. primary: whether the default's comparison was named beforehand.
    """
    if not level.rows:
        return []
    draws = draws or (DRAWS if len(level.rows) <= _MANY else DRAWS // 2)
    right = np.array([each.right for each in level.rows])
    templates = [each.template for each in level.rows]
    statistics: dict[tuple[str, str], Statistic] = {}
    for name, column in level.scores.items():
        scores = filled(column)
        statistics[name, "auroc"] = auroc(scores, right)
        statistics[name, "auroc within"] = auroc(scores, right, templates)
        statistics[name, "ap"] = average_precision(scores, right, of_wrong=True)
        statistics[name, "ap within"] = average_precision_within(scores, right, templates)
    ways = _Ways(level, statistics, draws)
    names = sorted(level.scores, key=lambda name: name != level.default)
    against = {name: ways.against(name) for name in names if name != level.baseline}
    others = [name for name in against if not (primary and name == level.default)]
    adjusted: dict[str, float] = {}
    for peers in (False, True):
        family = [each for each in others if (each in level.peers) == peers]
        adjusted |= dict(zip(family, holm([against[name].p_value for name in family]).tolist(), strict=True))
    return [
        Detected(
            name,
            int(np.isnan(level.scores[name]).sum()),
            {figure: ways.two(name, figure) for figure in FIGURES},
            _adjusted(against[name], float(adjusted.get(name, against[name].p_value))) if name in against else None,
        )
        for name in names
    ]


def filled(column: Column) -> Column:
    """Finite scores: those that are missing are the median of the others, which tells nothing."""
    known = column[~np.isnan(column)]
    values = np.where(np.isnan(column), np.median(known) if len(known) else 0.0, column)
    return np.clip(values, -_LARGEST, _LARGEST)


def _adjusted(found: Against, p_value: float) -> Against:
    return Against(found.difference, found.ratio, found.p_value, p_value)


class _Ways:
    """The draws of both ways to resample."""

    def __init__(self, level: Level, statistics: Mapping[tuple[str, str], Statistic], draws: int) -> None:
        self.level, self.draws, n = level, draws, len(level.rows)
        templates = codes_of([each.template for each in level.rows], n)
        entities = codes_of([each.entity for each in level.rows], n)
        named = {f"{name}\n{figure}": statistic for (name, figure), statistic in statistics.items()}
        here = entities if level.by_entity else templates
        self._here = drawn(named, here, draws, over_groups=level.by_entity)
        self._elsewhere = drawn(named, templates, draws, over_groups=True)
        self._values = {name: float(statistic(np.ones((1, n)))[0]) for name, statistic in named.items()}
        self._groups = (int(entities.max()) + 1 if level.by_entity else 0, int(templates.max()) + 1)

    def two(self, method: str, figure: str) -> Two:
        key = f"{method}\n{figure}"
        return self._of(self._values[key], self._here[key], self._elsewhere[key])

    def against(self, method: str) -> Against:
        """The method against the level's baseline."""
        own, base = (f"{name}\n{self.level.figure}" for name in (method, self.level.baseline))
        differences = [way[own] - way[base] for way in (self._here, self._elsewhere)]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = [way[own] / way[base] for way in (self._here, self._elsewhere)]
            ratio = self._of(self._values[own] / np.float64(self._values[base]), *ratios)
        value = self._values[own] - self._values[base]
        p_values = [each for each in (chance_of_no_difference(value, way) for way in differences) if not np.isnan(each)]
        difference = self._of(value, *differences)
        return Against(difference, ratio, max(p_values, default=np.nan), np.nan)

    def _of(self, value: float, here: Column, elsewhere: Column) -> Two:
        n = len(self.level.rows)
        return Two(
            Interval(float(value), *limits(here, self.draws), n, self._groups[0]),
            Interval(float(value), *limits(elsewhere, self.draws), n, self._groups[1]),
        )
