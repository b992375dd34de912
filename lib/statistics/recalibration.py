"""Maps from a raw score to the probability of being right, fitted on labelled answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold

from lib.errors import BadFile
from lib.statistics.bootstrap import codes_of

Column = NDArray[np.float64]
Outcomes = NDArray[np.bool_]

FEWEST = 30  # labelled answers below which nothing is fitted
FEWEST_ISOTONIC = 500  # below which an isotonic map follows noise
FOLDS = 5
_PENALTY = 1_000.0  # inverse strength of the ridge on standardized columns
_MOST_KNOTS = 10_000  # of a map that comes from a file
_LARGEST = 1e6  # absolute value of a parameter that comes from a file


class Kind(StrEnum):
    """The shapes of a map."""

    PLATT = "platt"  # logistic in the score and the logarithm of the answer's length
    TEMPERATURE = "temperature"  # logistic in the score alone, which must be a log-odds; no offset
    ISOTONIC = "isotonic"  # any non-decreasing function


@dataclass(frozen=True)
class Map:
    """A fitted map. Its parameters are numbers only, so that it can be read from a file."""

    kind: Kind
    slope: float = 0.0  # of the score; of TEMPERATURE, 1 / temperature
    length_slope: float = 0.0  # of log(tokens)
    offset: float = 0.0
    scores: tuple[float, ...] = ()  # of ISOTONIC: rising, with
    probabilities: tuple[float, ...] = ()  # their probabilities

    def __call__(self, scores: NDArray[np.floating], tokens: NDArray[np.integer]) -> Column:
        """float[n]: the probability that each answer is right; NaN for a score that is missing.

        tokens: int[n], how many tokens each answer has.
        """
        values = np.asarray(scores, np.float64)
        if self.kind is Kind.ISOTONIC:
            found = np.interp(values, self.scores, self.probabilities)
            return np.where(np.isnan(values), np.nan, found)
        odds = self.slope * values + self.length_slope * np.log(np.maximum(tokens, 1)) + self.offset
        with np.errstate(over="ignore"):
            right: Column = 1 / (1 + np.exp(-odds))
        return right

    def as_json(self) -> dict[str, Any]:
        """The map as JSON values; `map_of` reads it."""
        if self.kind is Kind.ISOTONIC:
            return {"kind": str(self.kind), "scores": list(self.scores), "probabilities": list(self.probabilities)}
        return {
            "kind": str(self.kind),
            "slope": self.slope,
            "length_slope": self.length_slope,
            "offset": self.offset,
        }


def map_of(values: Mapping[str, Any]) -> Map:
    """Read what `Map.as_json` returned. Raises BadFile if it is no map."""
    try:
        kind = Kind(values["kind"])
        if kind is Kind.ISOTONIC:
            return Map(kind, scores=_rising(values["scores"]), probabilities=_shares(values))
        slope, length, offset = (_number(values[name]) for name in ("slope", "length_slope", "offset"))
        return Map(kind, slope, length, offset)
    except (KeyError, TypeError, ValueError) as error:
        raise BadFile("The file holds no calibration that can be read.", "Export it again.") from error


def fitted(kind: Kind, scores: NDArray[np.floating], tokens: NDArray[np.integer], right: Outcomes) -> Map:
    """The map that makes the outcomes most likely. Raises ValueError for fewer than two classes or a missing score."""
    values, outcomes = np.asarray(scores, np.float64), np.asarray(right, bool)
    if np.isnan(values).any():
        raise ValueError("a score is missing")
    if outcomes.all() or not outcomes.any():
        raise ValueError("all answers are right, or all are wrong")
    if kind is Kind.ISOTONIC:
        return _isotonic(values, outcomes)
    columns = values[:, None]
    if kind is Kind.PLATT:
        columns = np.column_stack([values, np.log(np.maximum(tokens, 1))])
    centre = columns.mean(0) if kind is Kind.PLATT else np.zeros(1)
    scale = np.where(columns.std(0) > 0, columns.std(0), 1.0)
    # Hardly a penalty, but one that keeps slopes finite where a score separates right from wrong perfectly.
    model = LogisticRegression(C=_PENALTY, fit_intercept=kind is Kind.PLATT, max_iter=1_000)
    model.fit((columns - centre) / scale, outcomes)
    slopes = model.coef_[0] / scale
    offset = float(model.intercept_[0] - slopes @ centre) if kind is Kind.PLATT else 0.0
    return Map(kind, float(slopes[0]), float(slopes[1]) if kind is Kind.PLATT else 0.0, offset)


def cross_fitted(
    kind: Kind,
    scores: NDArray[np.floating],
    tokens: NDArray[np.integer],
    right: Outcomes,
    groups: Sequence[object] | None = None,
) -> Column:
    """float[n]: the probability of each answer by a map that was fitted without it, and without its group.

    Raises ValueError where a fold cannot be fitted.
    """
    values, outcomes = np.asarray(scores, np.float64), np.asarray(right, bool)
    codes = codes_of(groups, len(values))
    several = int(codes.max(initial=0)) + 1 >= 2
    folds: Any = GroupKFold(min(FOLDS, int(codes.max()) + 1)) if several else KFold(FOLDS, shuffle=True, random_state=0)
    found = np.empty(len(values))
    for rest, fold in folds.split(values, outcomes, codes if several else None):
        made = fitted(kind, values[rest], np.asarray(tokens)[rest], outcomes[rest])
        found[fold] = made(values[fold], np.asarray(tokens)[fold])
    return found


def _isotonic(values: Column, outcomes: Outcomes) -> Map:
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(values, outcomes.astype(np.float64))
    knots = np.asarray(model.X_thresholds_, np.float64), np.asarray(model.y_thresholds_, np.float64)
    return Map(Kind.ISOTONIC, scores=tuple(knots[0].tolist()), probabilities=tuple(knots[1].tolist()))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise ValueError(f"{value!r} is no parameter")
    return float(value)


def _rising(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list) or not 1 <= len(values) <= _MOST_KNOTS:
        raise ValueError("no list of scores")
    found = tuple(map(_number, values))
    if any(after < before for before, after in pairwise(found)):
        raise ValueError("the scores do not rise")
    return found


def _shares(values: Mapping[str, Any]) -> tuple[float, ...]:
    found = _rising(values["probabilities"])
    if len(found) != len(values["scores"]) or not all(0 <= each <= 1 and math.isfinite(each) for each in found):
        raise ValueError("no list of probabilities")
    return found
