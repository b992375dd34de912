"""What `candor evaluate` writes and prints, and what it exits with."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.display.spreadsheet import as_csv
from lib.errors import InvalidRequest
from lib.evaluate_folder import PAGE, REPORT, ROWS, Folder
from lib.evaluate_options import CONDITION_MET, FIGURES
from lib.jobs.batch import Batch
from lib.studies.evaluation_export import as_json, table
from lib.studies.evaluation_html import as_html
from lib.studies.evaluation_outcome import EvaluationOutcome, calibration_from
from lib.studies.evaluation_text import figures, summary
from lib.terminal import say

_CONDITION = re.compile(r"\s*([a-z_]+)\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\s*")
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """What --fail-if names."""

    text: str
    name: str
    sign: str
    limit: float

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it holds. A figure that is missing fails every condition on it: nothing shows that it does not."""
        value = values[self.name]
        return math.isnan(value) or _COMPARED[self.sign](value, self.limit)


def condition_of(text: str) -> Condition:
    """Read a condition. Raises InvalidRequest."""
    found = _CONDITION.fullmatch(text)
    if found is None or found[1] not in FIGURES:
        known = ", ".join(FIGURES)
        raise InvalidRequest(f"“{text}” isn't a condition.", f"Compare one of {known} with a number: accuracy<0.8.")
    return Condition(text, found[1], found[2], float(found[3]))


def write_files(outcome: EvaluationOutcome, folder: Folder) -> None:
    """Write the report as JSON and as a page, the calibration of each model, and the rows. Raises CandorError."""
    files = {REPORT: _json(as_json(outcome)), PAGE: as_html(outcome), ROWS: as_csv(table(outcome))}
    for place, side in enumerate(outcome.sides, start=1):
        found = calibration_from(side, outcome.title)
        if found is not None:
            name = "calibration.json" if len(outcome.sides) == 1 else f"calibration-{place}.json"
            files[name] = _json(found.as_json())
    folder.write(files)


def _json(values: Any) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False)


def tell(outcome: EvaluationOutcome, batch: Batch, conditions: Sequence[Condition]) -> int:
    """Print a summary, and which conditions hold; returns the exit code."""
    for line in summary(outcome):
        say(line)
    rows = [each for side in outcome.sides for each in side.rows]
    for error in dict.fromkeys(str(each.error) for each in rows if each.error is not None):
        say(error, error=True)
    if batch.cap is not None:
        say(str(batch.cap), error=True)
    values = figures(outcome)
    held = [each for each in conditions if each.holds(values)]
    for each in held:
        say(f"{each.text}: {each.name} is {values[each.name]:.4g}.", error=True)
    unanswered = any(each.completion is None or each.error is not None for each in rows)
    return CONDITION_MET if held else int(unanswered)
