"""The report of an evaluation as text and tables: for the command line, for conditions, and for files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lib import formatting
from lib.scores.confidence import SCORES
from lib.statistics.bootstrap import Interval
from lib.statistics.verdict import Verdict
from lib.studies.evaluation import Answered
from lib.studies.evaluation_report import Both, Calibration, Guaranteed, Report

if TYPE_CHECKING:
    import pandas as pd

_VERDICTS = {
    Verdict.OVER: "overconfident",
    Verdict.UNDER: "underconfident",
    Verdict.NOT_SHOWN: "neither over- nor underconfidence is shown by this much data",
}


def figures(found: Report) -> dict[str, float]:
    """The figures that conditions may name, such as accuracy or smooth_ece; NaN for those the report lacks."""
    of_whom = found.stated or found.recalibrated
    calibrated = {} if of_whom is None else {name: each.within.value for name, each in of_whom.figures.items()}
    names = ("gap", "brier", "log loss", "smooth ece", "debiased ece")
    both = {name: each.within.value for name, each in (found.discrimination | found.selective).items()}
    return {
        "accuracy": math.nan if found.accuracy is None else found.accuracy.within.value,
        "answered": float(found.answered),
        "failed": float(found.failed),
        **{_snake(name): calibrated.get(name, math.nan) for name in names},
        **{_snake(name): both.get(name, math.nan) for name in ("auroc", "auroc within groups", "aurc", "augrc")},
    }


def _snake(name: str) -> str:
    return name.replace(" ", "_")


def summary(found: Report) -> Iterator[str]:
    """The report in a few lines, each figure with its interval and the number of rows."""
    yield f"{found.answered:,} of {formatting.count(found.n, 'question')} answered and graded."
    if found.failed:
        yield f"{formatting.count(found.failed, 'question')} failed."
    if found.overruled:
        yield f"{formatting.count(found.overruled, 'grade')} set by hand."
    if found.accuracy is not None:
        yield f"Accuracy: {_share(found.accuracy)}"
    label = SCORES[found.score].label
    for name, each in found.discrimination.items():
        yield f"{_sentence(name)} of “{label}”: {_number(each)}"
    for calibration in (found.stated, found.recalibrated):
        if calibration is not None:
            yield from _calibration(calibration)
    for name, each in found.selective.items():
        nothing, oracle = found.references[name]
        yield f"{_sentence(name)}: {_number(each)}; a score that says nothing has {nothing:.3f}, the best {oracle:.3f}"
    for guarantee in found.guarantees:
        yield _guarantee(guarantee)
    yield from found.missing


def _calibration(found: Calibration) -> Iterator[str]:
    yield f"Of {found.what}: {_VERDICTS[found.verdict]}; mean minus accuracy {_number(found.figures['gap'])}"
    for name, expected in found.expected.items():
        line = f"  {_sentence(name)}: {_number(found.figures[name])}"
        yield f"{line}; perfect calibration shows {expected.median:.3f}, rarely more than {expected.high:.3f}"


def _guarantee(each: Guaranteed) -> str:
    risk = formatting.exact_percent(each.risk)
    if each.found is None:
        return f"At most {risk} wrong: not shown. {each.why_not}"
    kept = f"{each.found.kept:,} of {each.found.n:,} answers would go out, {each.found.wrong:,} of them wrong here"
    return f"At most {risk} wrong, with 90% confidence: from a score of {each.found.threshold:.3f} on; {kept}."


def _sentence(name: str) -> str:
    """A figure's name as it begins a line; abbreviations stay in capitals."""
    words = [each.upper() if each in ("auroc", "aurc", "augrc", "ece") else each for each in name.split()]
    return " ".join(words)[:1].upper() + " ".join(words)[1:]


def _share(both: Both) -> str:
    return _with_limits(both, percents=True)


def _number(both: Both) -> str:
    return _with_limits(both)


def _with_limits(both: Both, *, percents: bool = False) -> str:
    """The value, its interval for questions like these, and that for other groups of questions."""

    def text(value: float) -> str:
        return f"{100 * value:.1f}%" if percents else f"{value:.3f}"

    def limits(found: Interval) -> str:
        return "interval unknown" if math.isnan(found.low) else f"{text(found.low)} to {text(found.high)}"

    if math.isnan(both.within.value):
        return f"unknown (n = {both.within.n:,})"
    other = "" if both.over is None else f"; for other groups {limits(both.over)}, {both.over.groups:,} groups"
    return f"{text(both.within.value)} ({limits(both.within)}, n = {both.within.n:,}{other})"


def table(rows: Sequence[Answered]) -> pd.DataFrame:
    """One line per question: what was asked, expected and answered, the grade and the scores."""
    import pandas as pd

    return pd.DataFrame([_line(each) for each in rows])


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
