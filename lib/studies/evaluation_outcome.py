"""The outcome of an evaluation: for each model or prompt its rows and report, and how each compares with the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lib.core.sources import Source
from lib.evaluation.calibration import Calibration
from lib.evaluation.dataset import Task
from lib.evaluation.grades import Grades
from lib.evaluation.grading import Grader
from lib.jobs.batch import Batch
from lib.statistics.maps import Kind
from lib.studies.evaluation import EvaluatePlan, scores_of
from lib.studies.evaluation_comparison import Comparison, compare
from lib.studies.evaluation_report import Report, report
from lib.studies.evaluation_rows import Answered, answered


@dataclass(frozen=True)
class Side:
    """One model or prompt."""

    name: str
    source: Source
    weights: str  # fingerprint of the model's weights; "" if unknown
    rows: tuple[Answered, ...]
    report: Report
    settings: Mapping[str, str] = field(default_factory=dict)  # how it was asked and graded, by name


@dataclass(frozen=True)
class EvaluationOutcome:
    """Everything that the page, the command and the exports show."""

    title: str  # of the file, with its number of rows
    task: Task
    grader: Grader
    sides: tuple[Side, ...]
    comparisons: tuple[Comparison, ...]  # of each side but the first with the first


Rows = tuple[tuple[Answered, ...], ...]


def rows_of(plan: EvaluatePlan, batch: Batch, grades: Grades | None = None) -> Rows:
    """For each model or prompt of a plan, what became of each question."""
    sides = zip(plan.variants(), plan.parts(batch), strict=True)
    return tuple(answered(each, own, (grades or {}).get(place)) for place, (each, own) in enumerate(sides))


def outcome_of(
    plan: EvaluatePlan,
    rows: Rows,
    score: str = "",
    names: Sequence[str] = (),
    *,
    kind: Kind = Kind.PLATT,
    wanted: Sequence[tuple[float, float]] = (),
) -> EvaluationOutcome:
    """The outcome of a plan.

    rows: as from `rows_of`. score: which score tells confidence; "" for the task's usual one. names: of the sides; by
    default their models or prompts. kind, wanted: as for `report`.
    """
    score = score or scores_of(plan.task)[0]
    sides = []
    for place, (each, own) in enumerate(zip(plan.variants(), rows, strict=True)):
        name = names[place] if names else each.label or each.source.name
        weights = next((row.completion.weights for row in own if row.completion is not None), "")
        found = report(own, score, kind=kind, wanted=wanted, states_rightness=plan.states_rightness)
        sides.append(Side(name, each.source, weights, own, found, each.settings()))
    comparisons = tuple(
        compare(sides[0].rows, each.rows, score, kind=kind, states_rightness=plan.states_rightness)
        for each in sides[1:]
    )
    return EvaluationOutcome(plan.title(), plan.task, plan.grader, tuple(sides), comparisons)


def calibration_from(side: Side, title: str) -> Calibration | None:
    """The calibration that a side's report gives its model; None if none could be fitted.

    title: what it was fitted on.
    """
    found = side.report
    if found.map is None:
        return None
    rows = [side.rows[place] for place in found.rows]
    scores, tokens = [each.scores[found.score] for each in rows], [each.tokens for each in rows]
    return Calibration(
        found.map, found.score, len(rows), side.name, side.source.name, side.weights, title,
        scores=(min(scores), max(scores)), tokens=(min(tokens), max(tokens)),
    )  # fmt: skip
