"""The report of an evaluation: how often the model is right, and whether its confidence says when.

Every figure says how many rows it rests on and has a bootstrap interval: of rows resampled within their groups, which
is about questions like these, and of groups resampled, which is about other groups of questions. Figures that need both
right and wrong answers, or more of them, are missing with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.scores.confidence import CHOICE, DEFAULT_SCORE
from lib.statistics.bootstrap import FEWEST as FEWEST_BOOTSTRAP
from lib.statistics.bootstrap import Both, Statistic, both_intervals, without_limits
from lib.statistics.calibration import (
    Decomposition,
    Expected,
    Reliability,
    brier,
    debiased_ece,
    decomposed,
    gap,
    if_perfect,
    log_loss,
    mean,
    reliability,
    smooth_ece,
)
from lib.statistics.discrimination import auroc, average_precision
from lib.statistics.likelihood import bits_per_character, perplexity
from lib.statistics.maps import Kind, Map
from lib.statistics.recalibration import cross_fitted_if_possible, fitted, kind_for
from lib.statistics.selective import (
    RiskCoverage,
    augrc,
    aurc,
    references,
    risk_coverage,
)
from lib.statistics.shares import gap_of, has_few, share
from lib.statistics.thresholds import Guaranteed, sought
from lib.statistics.verdict import Slice, Verdict, by_confidence, by_slice, verdict
from lib.studies.evaluation_missing import missing, without_scores
from lib.studies.evaluation_rows import Answered

CERTAINTY = 0.9  # that a threshold keeps its risk
RISKS = (0.01, 0.02, 0.05, 0.1, 0.2)  # shares of wrong answers that thresholds are sought for
FEWEST_CALIBRATED = 20  # rows below which nothing is said of calibration
_SHOWN = 10  # mistakes and successes

Column = NDArray[np.float64]
Outcomes = NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities come true, on the rows that have one."""

    what: str  # what the probabilities are
    p: Column
    right: Outcomes
    figures: dict[str, Both]  # gap, brier, log loss, smooth ECE, debiased ECE, mean of right, mean of wrong
    expected: dict[str, Expected]  # what perfectly calibrated probabilities would show, of the last four
    brier_parts: Decomposition
    line: Reliability
    verdict: Verdict
    bins: tuple[Slice, ...]
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Report:
    """Everything the page, the command and the exports show."""

    n: int  # questions
    answered: int
    failed: int  # questions whose call or grade failed
    overruled: int  # grades set by hand
    score: str  # the name of the score in `lib.scores.confidence.ALL_SCORES`
    accuracy: Both | None  # None if nothing is graded, as for texts
    discrimination: dict[str, Both] = field(default_factory=dict)  # AUROC, AUROC within groups, AP right, AP wrong
    stated: Calibration | None = None  # of the probability that the model gives its answer
    recalibrated: Calibration | None = None  # of the map's probability, each by a map that did not see the row's group
    map: Map | None = None  # fitted on all rows
    curve: RiskCoverage | None = None  # by the score
    selective: dict[str, Both] = field(default_factory=dict)  # AURC, AUGRC
    references: dict[str, tuple[float, float]] = field(default_factory=dict)  # (a score that says nothing, the oracle)
    guarantees: tuple[Guaranteed, ...] = ()
    rows: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))  # places of the rows that count
    mistakes: tuple[int, ...] = ()  # places of the most confident wrong answers, most confident first
    doubtful: tuple[int, ...] = ()  # places of the least confident right answers, least confident first
    missing: tuple[str, ...] = ()  # what the report lacks, and why
    texts: dict[str, Both] = field(default_factory=dict)  # of TEXT: perplexity, bits per character
    states_rightness: bool = True  # whether `stated` is the probability of being right; otherwise of one wording
    empty: int = 0  # graded answers without a token
    not_asked: int = 0  # questions that were not asked, as after a stop

    @property
    def judged(self) -> Calibration | None:
        """The calibration that verdicts and conditions are about."""
        if not self.states_rightness:
            return self.recalibrated
        return self.stated or self.recalibrated

    def judges(self, which: Calibration) -> bool:
        """Whether a calibration of this report is of probabilities of being right."""
        return which is not self.stated or self.states_rightness


def report(
    rows: Sequence[Answered],
    score: str = DEFAULT_SCORE,
    *,
    kind: Kind = Kind.PLATT,
    wanted: Sequence[tuple[float, float]] = (),
    states_rightness: bool = True,
    seed: int = 0,
) -> Report:
    """The report of graded rows.

    score: which score tells confidence. kind: the map from it to a probability. wanted: (risk, certainty) that
    thresholds are sought for, besides `RISKS` at 90%. states_rightness: see `EvaluatePlan`.
    """
    overall = Report(
        n=len(rows),
        answered=sum(each.right is not None for each in rows),
        failed=sum(each.right is None and each.error is not None for each in rows),
        not_asked=sum(each.right is None and each.completion is None and each.error is None for each in rows),
        empty=sum(each.right is not None and not each.tokens and _is_empty(each) for each in rows),
        overruled=sum(each.overruled for each in rows),
        score=score,
        accuracy=None,
        states_rightness=states_rightness,
    )
    graded = [each for each in rows if each.right is not None]
    if not graded:
        return replace(overall, **_texts(rows, seed))
    everyone = _Data.of(graded, score)
    overall = replace(overall, accuracy=share(everyone.right, everyone.groups, seed=seed))
    counted = [place for place, each in enumerate(rows) if _counts(each, score)]
    if not counted:
        return replace(overall, missing=(without_scores(overall.answered, overall.empty),))
    counted.sort(key=lambda place: -rows[place].scores[score])  # so that no statistic has to sort its weights
    data = _Data.of([rows[place] for place in counted], score)
    found = replace(
        overall,
        rows=np.array(counted, np.intp),
        mistakes=tuple(place for place, right in zip(counted, data.right, strict=True) if not right)[:_SHOWN],
        doubtful=tuple(place for place, right in zip(counted[::-1], data.right[::-1], strict=True) if right)[:_SHOWN],
        missing=tuple(missing(data.scores, data.right, data.groups, len(graded), overall.empty)),
    )
    if data.one_class:
        return found
    return replace(found, **_separation(data, wanted, seed), **_calibrations(data, kind, seed))


def _texts(rows: Sequence[Answered], seed: int) -> dict[str, Any]:
    """What can be said of texts, which are scored and not graded."""
    read = [each for each in rows if each.characters]
    if not read:
        return {"missing": ("No answer is graded.",)}
    sums = np.array([each.scores["sum"] for each in read], np.float64)
    statistics = {
        "perplexity": perplexity(sums, np.array([each.tokens for each in read], np.intp)),
        "bits per character": bits_per_character(sums, np.array([each.characters for each in read], np.intp)),
    }
    return {"texts": both_intervals(statistics, len(read), [each.question.group for each in read], seed=seed)}


def _is_empty(row: Answered) -> bool:
    return row.completion is not None and not row.completion.text.strip()


def _counts(row: Answered, score: str) -> bool:
    return row.right is not None and not math.isnan(row.scores.get(score, math.nan))


@dataclass(frozen=True)
class _Data:
    """The rows that count, as columns."""

    rows: Sequence[Answered]
    scores: Column
    stated: Column
    tokens: NDArray[np.intp]
    right: Outcomes
    groups: tuple[str, ...] | None
    log_odds: bool  # whether the scores are log-odds

    @classmethod
    def of(cls, rows: Sequence[Answered], score: str) -> _Data:
        groups = tuple(each.question.group for each in rows)
        return cls(
            rows,
            np.array([each.scores.get(score, math.nan) for each in rows], np.float64),
            np.array([each.stated for each in rows], np.float64),
            np.array([each.tokens for each in rows], np.intp),
            np.array([bool(each.right) for each in rows]),
            groups if len(set(groups)) > 1 else None,
            score == CHOICE,
        )

    @property
    def one_class(self) -> bool:
        """Whether all answers are right, or all are wrong."""
        return bool(self.right.all() or not self.right.any())

    def both(self, statistics: Mapping[str, Statistic], seed: int) -> dict[str, Both]:
        """Figures on the same draws, with both intervals."""
        return both_intervals(statistics, len(self.rows), self.groups, seed=seed)


def _separation(data: _Data, wanted: Sequence[tuple[float, float]], seed: int) -> dict[str, Any]:
    statistics = {
        "auroc": auroc(data.scores, data.right),
        "average precision of right": average_precision(data.scores, data.right),
        "average precision of wrong": average_precision(data.scores, data.right, of_wrong=True),
    }
    if data.groups is not None:
        statistics["auroc within groups"] = auroc(data.scores, data.right, data.groups)
    risks = sorted({*wanted, *((risk, CERTAINTY) for risk in RISKS)})
    areas = {"aurc": aurc(data.scores, data.right), "augrc": augrc(data.scores, data.right)}
    found = data.both(statistics | areas, seed)
    if has_few(data.right):
        found = {name: without_limits(each) for name, each in found.items()}
    return {
        "discrimination": {name: found[name] for name in statistics},
        "selective": {name: found[name] for name in areas},
        "references": {name: references(data.right, generalized=name == "augrc") for name in areas},
        "curve": risk_coverage(data.scores, data.right),
        "guarantees": tuple(sought(data.scores, data.right, *each) for each in risks),
    }


def _calibrations(data: _Data, kind: Kind, seed: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if len(data.rows) >= FEWEST_CALIBRATED and not np.isnan(data.stated).any():
        found["stated"] = _calibration("the probability that the model gives its answer", data.stated, data, seed)
    kind = kind_for(kind, len(data.rows), log_odds=data.log_odds)
    p = cross_fitted_if_possible(kind, data.scores, data.tokens, data.right, data.groups)
    if p is not None:
        found["recalibrated"] = _calibration("the recalibrated probability", p, data, seed)
        found["map"] = fitted(kind, data.scores, data.tokens, data.right)
    return found


def _calibration(what: str, p: Column, data: _Data, seed: int) -> Calibration:
    measures = {"brier": brier, "log loss": log_loss, "smooth ece": smooth_ece, "debiased ece": debiased_ece}
    statistics = {"gap": gap(p, data.right)} | {name: each(p, data.right) for name, each in measures.items()}
    statistics |= {"mean of right": mean(p, data.right), "mean of wrong": mean(p, ~data.right)}
    figures = data.both(statistics, seed)
    if has_few(data.right):
        figures["gap"] = gap_of(p, data.right, data.groups, seed=seed)
    for name, count in (("mean of right", data.right.sum()), ("mean of wrong", (~data.right).sum())):
        if count < FEWEST_BOOTSTRAP:
            figures[name] = without_limits(figures[name])
    return Calibration(
        what=what,
        p=p,
        right=data.right,
        figures=figures,
        expected={name: if_perfect(each, p, seed=seed) for name, each in measures.items()},
        brier_parts=decomposed(p, data.right),
        line=reliability(p, data.right, seed=seed),
        verdict=verdict(figures["gap"].over or figures["gap"].within),
        bins=tuple(by_confidence(p, data.right, seed=seed)),
        slices=tuple(_slices(p, data, seed)),
    )


def _slices(p: Column, data: _Data, seed: int) -> Iterator[Slice]:
    columns = dict.fromkeys(name for each in data.rows for name, _ in each.question.slices)
    for column in columns:
        values = [dict(each.question.slices).get(column, "(missing)") for each in data.rows]
        for each in by_slice(p, data.right, values, data.groups, seed=seed):
            yield Slice(f"{column}: {each.name}", each.rows, each.confidence, each.accuracy, each.gap)
