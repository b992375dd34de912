"""How often scorings keep the right passages of labelled questions, with intervals by question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.contexts.labelled import Labelled, keeps, saved
from lib.contexts.scorings import BM25, DRAFT, GAIN, QUESTION, RETRIEVER, SCORINGS, Scores, combined
from lib.statistics.bootstrap import Interval, Weights, interval

TOPS = (1, 2, 3, 4, 5)  # passages that are kept
RANDOM = "random"
ALONE = (QUESTION, DRAFT, GAIN, BM25, RETRIEVER)
CHOICES = (QUESTION, DRAFT, BM25, RETRIEVER)  # what can be the default, as it needs no answer
COMBINATIONS: dict[str, dict[str, float]] = {
    "question + BM25": {QUESTION: 1.0, BM25: 1.0},
    "2 × question + BM25": {QUESTION: 2.0, BM25: 1.0},
    "question + draft": {QUESTION: 1.0, DRAFT: 1.0},
    "question + gain": {QUESTION: 1.0, GAIN: 1.0},
    "question + gain + BM25": {QUESTION: 1.0, GAIN: 1.0, BM25: 1.0},
    "all four": {QUESTION: 1.0, GAIN: 1.0, BM25: 1.0, DRAFT: 1.0},
}


@dataclass(frozen=True)
class ScoredQuestion:
    """A labelled question with the scores of its n passages."""

    about: Labelled
    scores: Mapping[str, Scores]  # float64[n] by scoring; NaN: not known
    tokens: tuple[int, ...]  # n: tokens of each passage
    answer: str = ""  # whose gain is scored; "" for none
    drafts: tuple[str, ...] = ()  # n: texts; "" for none


@dataclass(frozen=True)
class Recall:
    """How often one scoring keeps the right passage."""

    kept: tuple[Interval, ...]  # for each of TOPS, the share of questions
    missing: int  # passages without a score


@dataclass(frozen=True)
class Recalled:
    """What was measured on some questions."""

    n: int  # questions
    saved: tuple[float, ...]  # for each of TOPS, the share of the passages' tokens that is not kept; NaN for none
    recalls: Mapping[str, Recall]  # by scoring, combination, or "random"
    best: str  # the scoring that the differences are those of
    differences: Mapping[str, Interval]  # by scoring: how much more often `best` has the right passage first


def best_of(rows: Sequence[ScoredQuestion]) -> str:
    """The scoring that most often has the right passage first, among those that need no answer.

    Of equals, the one with the fewest calls per passage. "" without any.
    """
    known = [name for name in CHOICES if _is_known(rows, name)]
    means = {name: float(_kept(rows, [each.scores[name] for each in rows], 1).mean()) for name in known}
    return max(known, key=lambda name: (round(means[name], 9), -SCORINGS[name].calls), default="")


def recalled(rows: Sequence[ScoredQuestion], best: str) -> Recalled:
    """Recall by scoring, and the paired differences between the best one and all others. best: its name."""
    columns = _columns(rows)
    own = {name: [_kept(rows, each, most) for most in TOPS] for name, each in columns.items()}
    sizes = [[saved(one, each.tokens, most) for one, each in zip(columns[RANDOM], rows, strict=True)] for most in TOPS]
    return Recalled(
        len(rows),
        tuple(float(np.mean(each)) if each else math.nan for each in sizes),
        {
            name: Recall(
                tuple(share_of(each, rows) for each in own[name]),
                sum(int(np.isnan(each).sum()) for each in columns[name]),
            )
            for name in columns
        },
        best,
        {
            name: _mean(own[best][0] - own[name][0], rows)
            for name in columns
            if best in own and name not in (best, RANDOM)
        },
    )


def _columns(rows: Sequence[ScoredQuestion]) -> dict[str, list[Scores]]:
    """The scores of each question by scoring, by combination of what is known, and at random."""
    known = [name for name in ALONE if _is_known(rows, name)]
    found = {name: [each.scores[name] for each in rows] for name in known}
    for name, weights in COMBINATIONS.items():
        if set(weights) <= set(known):
            found[name] = [combined(each.scores, weights) for each in rows]
    return {**found, RANDOM: [np.zeros(len(each.tokens)) for each in rows]}


def _is_known(rows: Sequence[ScoredQuestion], name: str) -> bool:
    """Whether every question has the scoring, and any passage a score."""
    return all(name in each.scores for each in rows) and any(np.isfinite(each.scores[name]).any() for each in rows)


def _kept(rows: Sequence[ScoredQuestion], columns: Sequence[Scores], most: int) -> Scores:
    """float64[n]: for each question, the probability that its right passage is kept."""
    return np.array([keeps(one, each.about.right, most) for one, each in zip(columns, rows, strict=True)])


def share_of(values: Scores, rows: Sequence[ScoredQuestion]) -> Interval:
    """The mean of shares over questions; where resampling shows no width, with the exact interval of a share."""
    found = _mean(values, rows)
    if math.isnan(found.low) and len(values) and set(values.tolist()) <= {0.0, 1.0}:
        from lib.statistics.shares import exact_share  # needs scipy, slow to import

        return Interval(found.value, *exact_share(int(values.sum()), len(values)), found.n)
    return found


def _mean(values: Scores, rows: Sequence[ScoredQuestion]) -> Interval:
    """The mean over questions, which are resampled within each kind."""

    def mean(weights: Weights) -> Scores:
        return np.asarray((weights * values).sum(axis=1) / weights.sum(axis=1), np.float64)

    return interval(mean, len(values), groups=[each.about.kind for each in rows])
