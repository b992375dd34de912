"""The report of an evaluation as text, for the command line, and as figures that conditions name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from lib import formatting
from lib.core.request import Mode
from lib.scores.confidence import ALL_SCORES
from lib.statistics.bootstrap import Both, Interval
from lib.statistics.thresholds import Guaranteed
from lib.statistics.verdict import Verdict
from lib.studies.evaluation_comparison import Change, Comparison, change
from lib.studies.evaluation_outcome import EvaluationOutcome, Side
from lib.studies.evaluation_report import Calibration, Report

VERDICTS = {
    Verdict.OVER: "overconfident",
    Verdict.UNDER: "underconfident",
    Verdict.NOT_SHOWN: "no clear bias",
}


WORDING = (
    "This is the probability of the answer's wording. A right answer may be worded in many ways, so it isn't judged as "
    "over- or underconfident."
)
NAMES = {"gap": "mean probability minus accuracy"}
_MORE_IS_BETTER = ("accuracy", "auroc")
_LESS_IS_BETTER = ("brier", "log loss", "smooth ece", "bits per character")


def change_in_words(name: str, found: Comparison) -> str:
    """Whether the second is better or worse by a figure; higher or lower where that is neither; or not shown."""
    each = found.differences[name]
    shown = change(each.over or each.within)
    if shown is Change.NOT_SHOWN:
        return "no difference shown"
    up = shown is Change.UP
    figure = name.removesuffix(", recalibrated")
    if figure in _MORE_IS_BETTER:
        return "better" if up else "worse"
    if figure in _LESS_IS_BETTER:
        return "worse" if up else "better"
    if name == "gap":  # the best is 0
        before, after = found.first[name], found.second[name]
        if before * after >= 0:
            return "better" if abs(after) < abs(before) else "worse"
    return "higher" if up else "lower"


def settings_in_words(side: Side, model: str = "") -> str:
    """How one model or prompt was asked and graded, on one line. model: its name; "" for its path, id or ARN."""
    named = {**side.settings, "model": model} if model else side.settings
    parts = [f"{formatting.capital(name)}: {value}" for name, value in named.items() if name != "prompt"]
    prompt = [f"Prompt: {side.settings['prompt']}"] if "prompt" in side.settings else []
    return " · ".join([*parts, formatting.count(side.report.n, "question"), *prompt])


_SHORT = re.compile(r"\b(?:auroc|aurc|augrc|ece)\b")


def figures(outcome: EvaluationOutcome) -> dict[str, float]:
    """The figures that conditions may name, such as accuracy or smooth_ece; NaN for those that are missing.

    They are those of the first side, and the changes those of the second; with several others, of the worst of them.
    """
    found: dict[str, list[float]] = {name: [] for name in ("accuracy", "auroc", "gap")}
    for comparison in outcome.comparisons:
        for name, values in found.items():
            each = comparison.differences.get(name)
            values.append(math.nan if each is None else each.within.value)
    worst = {"gap": max}
    changes = {
        f"{name}_change": worst.get(name, min)(values) if values and not any(map(math.isnan, values)) else math.nan
        for name, values in found.items()
    }
    return _of_one(outcome.sides[0].report) | changes


def _of_one(found: Report) -> dict[str, float]:
    of_whom = found.judged
    calibrated = {} if of_whom is None else {name: each.within.value for name, each in of_whom.figures.items()}
    names = ("gap", "brier", "log loss", "smooth ece", "debiased ece")
    both = {name: each.within.value for name, each in (found.discrimination | found.selective).items()}
    return {
        "accuracy": math.nan if found.accuracy is None else found.accuracy.within.value,
        "answered": float(found.answered),
        "failed": float(found.failed + found.not_asked),
        **{_snake(name): calibrated.get(name, math.nan) for name in names},
        **{_snake(name): both.get(name, math.nan) for name in ("auroc", "auroc within groups", "aurc", "augrc")},
    }


def _snake(name: str) -> str:
    return name.replace(" ", "_")


def summary(outcome: EvaluationOutcome) -> Iterator[str]:
    """The outcome in a few lines, each figure with its interval and the number of rows."""
    several = len(outcome.sides) > 1
    for place, side in enumerate(outcome.sides, start=1):
        if several:
            yield f"{place}. {side.name}"
        if side.settings:
            yield settings_in_words(side)
        yield from _summary(side.report, side.settings.get("mode", ""))
    first = outcome.sides[0].name
    for side, comparison in zip(outcome.sides[1:], outcome.comparisons, strict=True):
        yield f"{side.name} against {first}, on {formatting.count(comparison.n, 'question')} that both answered"
        yield from _changes(comparison)


def _changes(found: Comparison) -> Iterator[str]:
    for name, each in found.differences.items():
        before, after = found.first[name], found.second[name]
        shown = change_in_words(name, found)
        yield f"  {sentence(name)}: {before:.3f} → {after:.3f}, difference {number(each)}: {shown}"
    if "accuracy" in found.differences:
        yield (
            f"  Right only now: {len(found.gained):,}; right only before: {len(found.lost):,} "
            f"(McNemar's exact test: {formatting.p_value(found.p_value)})"
        )


def _summary(found: Report, mode: str) -> Iterator[str]:
    yield f"{found.answered:,} of {formatting.count(found.n, 'question')} answered and graded."
    if found.failed:
        yield f"{formatting.count(found.failed, 'question')} failed."
    if found.not_asked:
        yield f"{formatting.count(found.not_asked, 'question')} not asked."
    if found.overruled:
        yield f"{formatting.count(found.overruled, 'grade')} set by hand."
    if found.accuracy is not None:
        yield f"Accuracy: {share(found.accuracy)}"
    if found.empty and found.empty == found.answered and mode == Mode.RAW:
        yield "All answers are empty. If the model is an instruct or chat model, give --chat."
    for name, each in found.texts.items():
        yield f"{sentence(name)}: {number(each)}"
    label = ALL_SCORES[found.score].label
    for name, each in found.discrimination.items():
        yield f"{sentence(name)} of “{label}”: {number(each)}"
    for calibration in (found.stated, found.recalibrated):
        if calibration is not None:
            yield from _calibration(found, calibration)
    for name, each in found.selective.items():
        nothing, oracle = found.references[name]
        yield f"{sentence(name)}: {number(each)}; an uninformative score has {nothing:.3f}, a perfect one {oracle:.3f}"
    for guarantee in found.guarantees:
        yield in_words(guarantee)
    yield from found.missing


def _calibration(report: Report, found: Calibration) -> Iterator[str]:
    judged = report.judges(found)
    yield f"{formatting.capital(found.what)}: {VERDICTS[found.verdict] if judged else WORDING}"
    if judged:
        yield f"  Mean minus accuracy {number(found.figures['gap'])}"
    yield f"  Mean of right answers {number(found.figures['mean of right'])}"
    yield f"  Mean of wrong answers {number(found.figures['mean of wrong'])}"
    for name, expected in found.expected.items() if judged else ():
        line = f"  {sentence(name)}: {number(found.figures[name])}"
        yield f"{line}; perfect calibration shows {expected.median:.3f}, rarely more than {expected.high:.3f}"


def in_words(each: Guaranteed) -> str:
    """What a guarantee means in natural frequencies, or why there is none."""
    risk = formatting.exact_percent(each.risk)
    certainty = f"with {formatting.exact_percent(each.certainty)} certainty"
    if each.found is None:
        more = f" About {each.more_labels:,} more may be enough." if each.more_labels else ""
        return f"At most {risk} wrong, {certainty}: not shown. {each.why_not}{more}"
    found = each.found
    low, high = found.wrong_range
    wrong = f"{low:,} to {high:,}" if low < high else f"{high:,}"
    return (
        f"At most {risk} wrong, {certainty}: release answers with a score of at least {found.threshold:.3f}. "
        f"Of {found.n:,} answers like these, {found.kept:,} are released and {wrong} of them are wrong "
        f"({found.wrong:,} here)."
    )


def sentence(name: str) -> str:
    """A figure's name as it begins a line; abbreviations stay in capitals."""
    return formatting.capital(_SHORT.sub(lambda found: found[0].upper(), NAMES.get(name, name)))


def points(found: Interval) -> str:
    """A difference of shares in percentage points, with its interval."""
    if math.isnan(found.low):
        return f"{_signed(found.value)} points"
    return f"{_signed(found.value)} points ({_signed(found.low)} to {_signed(found.high)})"


def _signed(share: float) -> str:
    return "?" if math.isnan(share) else f"{100 * share:+.1f}".replace("-", "−")


def share(both: Both) -> str:
    """A share as a percentage, with its intervals and n."""
    return _with_limits(both, percents=True)


def number(both: Both) -> str:
    """A figure with its intervals and n."""
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
