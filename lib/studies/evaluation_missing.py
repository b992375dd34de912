"""What a report lacks, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lib import formatting
from lib.statistics.bootstrap import FEWEST as FEWEST_RESAMPLED
from lib.statistics.recalibration import FEWEST, FEWEST_OF_EACH, enough
from lib.statistics.shares import has_few


def without_scores(graded: int, empty: int) -> str:
    """Why no graded answer has a score. empty: answers without text."""
    if empty == graded:
        return "All answers are empty, so the report can't assess confidence."
    return "No answer has logprobs, so the report can't assess confidence."


def missing(
    scores: NDArray[np.floating], right: NDArray[np.bool_], groups: Sequence[str] | None, graded: int, empty: int
) -> Iterator[str]:
    """What the report lacks, as sentences.

    scores, right, groups: of the answers with a score; None for fewer than two groups. graded: with those that have
    none. empty: how many of the latter are empty.
    """
    n = len(right)
    if n < graded:
        yield from _left_out(graded - n, graded, empty)
    if (count := int(np.isinf(scores).sum())) > 0:
        have = "has" if count == 1 else "have"
        yield f"{formatting.count(count, 'answer')} {have} probability 0, so no calibration is fitted to this score."
    successes = int(right.sum())
    if successes in (0, n):
        which = "right" if successes else "wrong"
        whose = f"All {n:,} answers are" if n > 1 else "The only answer is"
        yield f"{whose} {which}, so the report can't assess confidence."
        return
    if has_few(right):
        yield (
            f"{successes:,} right and {n - successes:,} wrong answers: intervals of figures that need both are "
            f"unknown. They need {FEWEST_RESAMPLED} of each."
        )
    if not enough(right):
        yield (
            f"No calibration is fitted to {successes:,} right and {n - successes:,} wrong answers. It needs {FEWEST}, "
            f"with at least {FEWEST_OF_EACH} right and {FEWEST_OF_EACH} wrong."
        )
    if groups is None:
        yield "No group column is set, so the intervals apply only to questions like these."
    elif (count := len(set(groups))) < FEWEST_RESAMPLED:
        yield (
            f"The rows are in {count} groups, so the intervals apply only to questions like these. Intervals for other "
            f"groups need {FEWEST_RESAMPLED}."
        )


def _left_out(count: int, graded: int, empty: int) -> Iterator[str]:
    """Why some graded answers have no score."""
    rest = count - empty
    parts = [f"{empty:,} {'is' if empty == 1 else 'are'} empty"] * bool(empty)
    parts += [f"{rest:,} {'has' if rest == 1 else 'have'} no logprobs"] * bool(rest)
    yield f"Of {graded:,} graded answers, {' and '.join(parts)}. They count for accuracy only."
