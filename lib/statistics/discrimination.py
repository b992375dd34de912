"""How well a score tells right answers from wrong ones. Labels are bool[n]; a higher score means more confident."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lib.statistics.bootstrap import Statistic, Weights, codes_of, ordered, summed

Scores = NDArray[np.floating]
Labels = NDArray[np.bool_]


def auroc(scores: Scores, right: Labels, groups: Sequence[object] | None = None) -> Statistic:
    """The probability that a right answer has a higher score than a wrong one; ties count half. NaN for one class.

    It equals the Mann–Whitney U statistic divided by the number of pairs (Hanley & McNeil 1982).

    groups: only pairs within one group count, so that a score gains nothing from telling easy groups from hard ones.
    """
    codes = codes_of(groups, len(scores))
    # One sort: by group, then by score. Ranks are then cumulative sums that restart at each group.
    order = np.lexsort((scores, codes))
    code, score, positive = codes[order], np.asarray(scores)[order], np.asarray(right, bool)[order]
    starts_tie = np.append(True, (np.diff(code) != 0) | (np.diff(score) != 0))
    first_of_tie = np.flatnonzero(starts_tie)
    first_tie_of_group = np.flatnonzero(np.append(True, np.diff(code[first_of_tie]) != 0))
    group_of_tie = _numbered(code[first_of_tie])

    def statistic(weights: Weights) -> NDArray[np.float64]:
        taken = ordered(weights, order)
        wins = summed(taken * positive, first_of_tie)
        losses = summed(taken * ~positive, first_of_tie)
        below = np.cumsum(losses, axis=1) - losses
        rank = below + losses / 2
        if len(first_tie_of_group) > 1:
            rank -= below[:, first_tie_of_group][:, group_of_tie]
        concordant = np.einsum("ij,ij->i", wins, rank)
        pairs = np.einsum("ij,ij->i", summed(wins, first_tie_of_group), summed(losses, first_tie_of_group))
        with np.errstate(invalid="ignore"):
            return np.where(pairs > 0, concordant / pairs, np.nan)

    return statistic


def average_precision(scores: Scores, right: Labels, *, of_wrong: bool = False) -> Statistic:
    """The mean precision over the recalls of right answers, most confident first; NaN without any. Ties count together.

    As in scikit-learn's `average_precision_score`: Σ (Rₖ − Rₖ₋₁) Pₖ, without interpolation.

    of_wrong: wrong answers are what is looked for, least confident first.
    """
    values = -np.asarray(scores, np.float64) if of_wrong else np.asarray(scores, np.float64)
    wanted = ~np.asarray(right, bool) if of_wrong else np.asarray(right, bool)
    order = np.argsort(-values, kind="stable")
    first_of_tie = np.flatnonzero(np.append(True, np.diff(values[order]) != 0))
    positive = wanted[order]

    def statistic(weights: Weights) -> NDArray[np.float64]:
        taken = ordered(weights, order)
        found = summed(taken * positive, first_of_tie)
        seen = summed(taken, first_of_tie).cumsum(1)
        with np.errstate(invalid="ignore"):
            precision = np.where(seen > 0, found.cumsum(1) / seen, 0.0)
            mean: NDArray[np.float64] = (precision * found).sum(1) / found.sum(1)
        return mean

    return statistic


def _numbered(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """int[t]: how many changes of the code lie before each place."""
    return np.cumsum(np.append(False, np.diff(codes) != 0))
