"""Maps from a raw score to the probability of being right, fitted on labelled answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold

from lib.statistics.bootstrap import codes_of
from lib.statistics.maps import Kind, Map

Column = NDArray[np.float64]
Outcomes = NDArray[np.bool_]

FEWEST = 30  # labelled answers below which nothing is fitted
FEWEST_OF_EACH = 10  # right answers, and wrong ones, below which nothing is fitted: slopes would follow a few of them
FEWEST_ISOTONIC = 500  # below which an isotonic map follows noise
FOLDS = 5
_CONSTANT = 1e-9  # spread of a column below which it is rounding
_PENALTY = 1_000.0  # inverse strength of the ridge on standardized columns
_MOST_KNOTS = 200  # of an isotonic map: more than any chart shows


def kinds_for(n: int, *, log_odds: bool = False) -> tuple[Kind, ...]:
    """The maps that can be fitted to n labelled answers, the usual one first; none if they are too few.

    log_odds: whether the score is a log-odds, which a temperature divides.
    """
    if n < FEWEST:
        return ()
    temperature = (Kind.TEMPERATURE,) if log_odds else ()
    return (Kind.PLATT, *temperature, *((Kind.ISOTONIC,) if n >= FEWEST_ISOTONIC else ()))


def kind_for(wanted: Kind, n: int, *, log_odds: bool = False) -> Kind:
    """The wanted map if it can be fitted to n labelled answers; otherwise the usual one."""
    return wanted if wanted in kinds_for(n, log_odds=log_odds) else Kind.PLATT


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
    scale = np.where(columns.std(0) > _CONSTANT, columns.std(0), np.inf)  # a column that never varies has no slope
    # Hardly a penalty, but one that keeps slopes finite where a score separates right from wrong perfectly.
    model = LogisticRegression(C=_PENALTY, fit_intercept=kind is Kind.PLATT, max_iter=1_000)
    model.fit((columns - centre) / scale, outcomes)
    slopes = model.coef_[0] / scale
    offset = float(model.intercept_[0] - slopes @ centre) if kind is Kind.PLATT else 0.0
    return Map(kind, float(slopes[0]), float(slopes[1]) if kind is Kind.PLATT else 0.0, offset)


def enough(right: Outcomes) -> bool:
    """Whether a map can be fitted to these answers: `FEWEST`, with `FEWEST_OF_EACH` right and as many wrong."""
    successes = int(np.count_nonzero(right))
    return len(right) >= FEWEST and min(successes, len(right) - successes) >= FEWEST_OF_EACH


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


def cross_fitted_if_possible(
    kind: Kind,
    scores: NDArray[np.floating],
    tokens: NDArray[np.integer],
    right: Outcomes,
    groups: Sequence[object] | None = None,
) -> Column | None:
    """The same; None if right or wrong answers are too few, a score is not finite, or a fold lacks a class."""
    if not enough(right) or not np.isfinite(scores).all():
        return None
    try:
        return cross_fitted(kind, scores, tokens, right, groups)
    except ValueError:
        return None


def _isotonic(values: Column, outcomes: Outcomes) -> Map:
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(values, outcomes.astype(np.float64))
    x, y = np.asarray(model.X_thresholds_, np.float64), np.asarray(model.y_thresholds_, np.float64)
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_KNOTS)).astype(int))
    return Map(Kind.ISOTONIC, scores=tuple(x[keep].tolist()), probabilities=tuple(y[keep].tolist()))
