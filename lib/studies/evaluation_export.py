"""The outcome of an evaluation as JSON values and as a table of rows."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.studies.evaluation_outcome import EvaluationOutcome, Side
from lib.studies.evaluation_rows import Answered

if TYPE_CHECKING:
    import pandas as pd


def as_json(outcome: EvaluationOutcome) -> dict[str, Any]:
    """The outcome as JSON values: the report of the first side, those of others, and the comparisons.

    NaN is null, and columns of rows are left out.
    """
    first, *others = outcome.sides
    found = {"title": outcome.title, "task": str(outcome.task), "rule": str(outcome.grader.rule), **_side(first)}
    if others:
        found["others"] = [_side(each) for each in others]
        found["comparisons"] = [_plain(asdict(each)) for each in outcome.comparisons]
    return found


def _side(side: Side) -> dict[str, Any]:
    found = side.report
    values = asdict(found)
    values["map"] = None if found.map is None else found.map.as_json()
    for name in ("stated", "recalibrated"):
        if values[name] is not None:
            for column in ("p", "right"):
                del values[name][column]
    plain: dict[str, Any] = _plain(values)
    return {"name": side.name, "weights": side.weights, "settings": dict(side.settings), **plain}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def table(outcome: EvaluationOutcome) -> pd.DataFrame:
    """One line per question and side: what was asked, expected and answered, the grade and the scores."""
    import pandas as pd

    several = len(outcome.sides) > 1
    return pd.DataFrame(
        [
            {**({"side": place, "name": side.name} if several else {}), **_line(each)}
            for place, side in enumerate(outcome.sides, start=1)
            for each in side.rows
        ]
    )


def _line(row: Answered) -> dict[str, object]:
    question = row.question
    return {
        "row": question.row,
        "id": question.row_id,
        "prompt": question.prompt,
        "expected": " | ".join(question.expected),
        "answer": "" if row.completion is None else row.completion.text,
        "compared": row.compared,
        "right": row.right,
        "overruled": row.overruled,
        "tokens": row.tokens,
        **{f"score {name}": value for name, value in row.scores.items()},
        "stated probability": row.stated,
        "group": question.group,
        **{f"slice {name}": value for name, value in question.slices},
        "error": "" if row.error is None else str(row.error),
    }
