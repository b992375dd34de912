"""Two models, or two prompts, on the same questions: what changed, and whether this much data shows it.

Every difference is the second minus the first, on the questions that both answered, with both bootstrap intervals of
paired draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from lib.scores.confidence import CHOICE, DEFAULT_SCORE
from lib.statistics.bootstrap import Both, Interval, Statistic, both_intervals, without_limits
from lib.statistics.calibration import accuracy, brier, gap, log_loss, mean, smooth_ece
from lib.statistics.discrimination import auroc
from lib.statistics.likelihood import bits_per_character
from lib.statistics.maps import Kind
from lib.statistics.paired import difference, flips
from lib.statistics.recalibration import cross_fitted_if_possible, kind_for
from lib.statistics.shares import exact_share, has_few
from lib.studies.evaluation_rows import Answered

Column = NDArray[np.float64]

_STATED = ("gap", "brier", "log loss", "smooth ece")  # of the probability that the model gives its answer


class Change(StrEnum):
    """What the interval of a difference shows."""

    UP = "up"
    DOWN = "down"
    NOT_SHOWN = "not shown"


def change(found: Interval) -> Change:
    """Whether a figure is higher or lower for the second; not shown if its interval holds 0."""
    if found.low > 0:
        return Change.UP
    return Change.DOWN if found.high < 0 else Change.NOT_SHOWN


@dataclass(frozen=True)
class Comparison:
    """The second of two models or prompts against the first."""

    n: int  # questions that both have a grade for, or of texts, that both have read
    confident: int  # of these, with logprobs from both: what all figures but accuracy rest on
    first: dict[str, float] = field(default_factory=dict)  # figures of the first, by name
    second: dict[str, float] = field(default_factory=dict)
    differences: dict[str, Both] = field(default_factory=dict)  # second minus first
    gained: tuple[int, ...] = ()  # places of rows that only the second is right on
    lost: tuple[int, ...] = ()  # places of rows that only the first is right on
    p_value: float = 1.0  # of McNemar's exact test


def compare(
    first: Sequence[Answered],
    second: Sequence[Answered],
    score: str = DEFAULT_SCORE,
    *,
    kind: Kind = Kind.PLATT,
    states_rightness: bool = True,
    seed: int = 0,
) -> Comparison:
    """Compare the answers to the same questions, in the same order.

    kind: of the map that each side is fitted. states_rightness: as for `report`; without it, figures of calibration are
    those of recalibrated probabilities only.
    """
    pairs = list(zip(first, second, strict=True))
    graded = [place for place, (a, b) in enumerate(pairs) if a.right is not None and b.right is not None]
    if not graded:
        return _of_texts(pairs, seed)
    right = tuple(np.array([bool(pairs[place][side].right) for place in graded]) for side in (0, 1))
    groups = [pairs[place][0].question.group for place in graded]
    flipped = flips(*right)
    scored = [place for place in graded if all(_has(each, score) for each in pairs[place])]
    found = Comparison(
        len(graded),
        len(scored),
        gained=tuple(graded[int(row)] for row in flipped.gained),
        lost=tuple(graded[int(row)] for row in flipped.lost),
        p_value=flipped.p_value,
    )
    _measure(found, {"accuracy": (accuracy(right[0]), accuracy(right[1]))}, groups, seed)
    if not found.gained and not found.lost:
        found.differences["accuracy"] = _no_flips(found.differences["accuracy"])
    if scored:
        sides = tuple([pairs[place][side] for place in scored] for side in (0, 1))
        statistics = [_confidence(side, score, kind) for side in sides]
        if not states_rightness:
            statistics = [{name: each for name, each in own.items() if name not in _STATED} for own in statistics]
        both = {name: (statistics[0][name], statistics[1][name]) for name in statistics[0] if name in statistics[1]}
        _measure(found, both, [each.question.group for each in sides[0]], seed)
        if any(has_few(np.array([bool(each.right) for each in side])) for side in sides):
            found.differences["auroc"] = without_limits(found.differences["auroc"])
    return found


def _no_flips(both: Both) -> Both:
    """The difference of accuracy without a flip: 0, with the limits of a share that none of the rows shows."""

    def exact(found: Interval, count: int) -> Interval:
        most = exact_share(0, count)[1]
        return replace(found, low=-most, high=most)

    return Both(exact(both.within, both.within.n), None if both.over is None else exact(both.over, both.over.groups))


def _of_texts(pairs: Sequence[tuple[Answered, Answered]], seed: int) -> Comparison:
    read = [pair for pair in pairs if pair[0].characters and pair[1].characters]
    found = Comparison(len(read), len(read))
    if read:
        bits = [
            bits_per_character(
                np.array([pair[side].scores["sum"] for pair in read]),
                np.array([pair[side].characters for pair in read], np.intp),
            )
            for side in (0, 1)
        ]
        _measure(found, {"bits per character": (bits[0], bits[1])}, [a.question.group for a, _ in read], seed)
    return found


def _has(row: Answered, score: str) -> bool:
    return not math.isnan(row.scores.get(score, math.nan)) and not math.isnan(row.stated)


def _confidence(rows: Sequence[Answered], score: str, kind: Kind) -> dict[str, Statistic]:
    """The figures of one side that need its confidence."""
    right = np.array([bool(each.right) for each in rows])
    stated = np.array([each.stated for each in rows], np.float64)
    scores = np.array([each.scores[score] for each in rows], np.float64)
    found = {
        "mean probability": mean(stated),
        "gap": gap(stated, right),
        "auroc": auroc(scores, right),
        "brier": brier(stated, right),
        "log loss": log_loss(stated, right),
        "smooth ece": smooth_ece(stated, right),
    }
    groups = [each.question.group for each in rows]
    calibrated = cross_fitted_if_possible(
        kind_for(kind, len(rows), log_odds=score == CHOICE),
        scores,
        np.array([each.tokens for each in rows], np.intp),
        right,
        groups if len(set(groups)) > 1 else None,
    )
    if calibrated is not None:
        found["mean calibrated probability"] = mean(calibrated)
        found["brier, recalibrated"] = brier(calibrated, right)
        found["smooth ece, recalibrated"] = smooth_ece(calibrated, right)
    return found


def _measure(
    found: Comparison, statistics: dict[str, tuple[Statistic, Statistic]], groups: Sequence[str], seed: int
) -> None:
    """Add the figures of both sides and their differences."""
    n = len(groups)
    whole = np.ones((1, n))
    for name, (first, second) in statistics.items():
        found.first[name], found.second[name] = float(first(whole)[0]), float(second(whole)[0])
    differences = {name: difference(*each) for name, each in statistics.items()}
    found.differences.update(both_intervals(differences, n, groups, seed=seed))
