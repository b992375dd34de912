"""Outcomes of evaluations from rows that are made up, without a model."""

from __future__ import annotations

from collections.abc import Sequence

from lib.core.sources import LocalModel
from lib.evaluation.dataset import Task
from lib.evaluation.grading import Grader
from lib.studies.evaluation_comparison import compare
from lib.studies.evaluation_outcome import EvaluationOutcome, Side
from lib.studies.evaluation_report import report
from lib.studies.evaluation_rows import Answered


def outcome(*sides: Sequence[Answered], task: Task = Task.SHORT) -> EvaluationOutcome:
    """The outcome of models "m1", "m2" … on the same questions."""
    made = tuple(
        Side(f"m{number}", LocalModel(f"m{number}"), "", tuple(rows), report(rows))
        for number, rows in enumerate(sides, start=1)
    )
    comparisons = tuple(compare(made[0].rows, each.rows) for each in made[1:])
    return EvaluationOutcome("questions.jsonl", task, Grader(), made, comparisons)
