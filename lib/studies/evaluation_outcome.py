"""The outcome of an evaluation: for each model or prompt its rows and report, and how each compares with the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.core.sources import Source
from lib.evaluation.dataset import Task
from lib.evaluation.grades import Grades
from lib.evaluation.grading import Grader
from lib.jobs.batch import Batch
from lib.scores.confidence import DEFAULT_SCORE
from lib.studies.evaluation import EvaluatePlan
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


@dataclass(frozen=True)
class EvaluationOutcome:
    """Everything that the page, the command and the exports show."""

    title: str  # of the file, with its number of rows
    task: Task
    grader: Grader
    sides: tuple[Side, ...]
    comparisons: tuple[Comparison, ...]  # of each side but the first with the first


def outcome_of(
    plan: EvaluatePlan,
    batch: Batch,
    score: str = DEFAULT_SCORE,
    grades: Grades | None = None,
    names: Sequence[str] = (),
) -> EvaluationOutcome:
    """The outcome of a plan. names: of the sides; by default their models or prompts."""
    plans = plan.variants()
    sides = []
    for place, (each, own) in enumerate(zip(plans, plan.parts(batch), strict=True)):
        rows = answered(each, own, (grades or {}).get(place))
        name = names[place] if names else each.label or each.source.name
        weights = next((done.weights for done in own.completions), "")
        sides.append(Side(name, each.source, weights, rows, report(rows, score)))
    comparisons = tuple(compare(sides[0].rows, each.rows, score) for each in sides[1:])
    return EvaluationOutcome(plan.title(), plan.task, plan.grader, tuple(sides), comparisons)
