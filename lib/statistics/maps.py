"""Maps from a score to the probability that an answer is right. Light: what fits them is in `recalibration`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.errors import BadFile

Column = NDArray[np.float64]

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
