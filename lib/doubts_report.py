"""What `candor evaluate-doubts` reports, as JSON and as tables of text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib import formatting
from lib.doubts import measured
from lib.doubts.answers import ANSWER_METHODS
from lib.doubts.detection import FIGURES, Against, Detected, Two
from lib.doubts.graded import Level
from lib.doubts.methods import METHODS
from lib.terminal import one_line

PRIMARY = "answers, few-shot"  # the level whose default is compared with its baseline first, as named beforehand
_MOST_DOUBT = 1e6  # a score for what the model found impossible, as JSON has no infinity
LEAST_EFFECT = 0.02  # a difference below this is of no interest
_MARKUP = re.compile(r"[\\|<\[`]")  # what would end a cell, or begin a tag, a link or code
_NAMES = {"auroc": "AUROC", "auroc within": "AUROC within", "ap": "AP of wrong", "ap within": "AP within"}


@dataclass(frozen=True)
class Reported:
    """A level and what was measured on it."""

    level: Level
    methods: Sequence[Detected]


def as_json(levels: Sequence[Reported], about: Mapping[str, Any]) -> dict[str, Any]:
    """The report as JSON values. about: the model, the part, the files and versions."""
    return {**about, "primary": PRIMARY, "levels": [_level(each) for each in levels]}


def _level(found: Reported) -> dict[str, Any]:
    rows = found.level.rows
    return {
        "name": found.level.name,
        "n": len(rows),
        "wrong": sum(not each.right for each in rows),
        "templates": len({each.template for each in rows}),
        "entities": len({each.entity for each in rows}),
        "default": found.level.default,
        "baseline": found.level.baseline,
        "compared by": found.level.figure,
        "left out": dict(found.level.left_out),
        "methods": [_method(each) for each in found.methods],
    }


def _method(each: Detected) -> dict[str, Any]:
    about: dict[str, Any] = {"method": each.method, "missing": each.missing}
    about |= {name: _two(each.figures[name]) for name in FIGURES}
    if each.against is not None:
        about["difference"] = _two(each.against.difference)
        about["ratio"] = _two(each.against.ratio)
        about["p"] = _number(each.against.p_value)
        about["p adjusted"] = _number(each.against.adjusted)
    return about


def _two(figure: Two) -> dict[str, Any]:
    return {
        "value": _number(figure.value),
        "these templates": [_number(figure.here.low), _number(figure.here.high)],
        "other templates": [_number(figure.elsewhere.low), _number(figure.elsewhere.high)],
    }


def _number(value: float) -> float | None:
    return round(float(value), 5) if math.isfinite(value) else None


def measurement(found: Reported, answers: int, about: Mapping[str, Any]) -> measured.Measured:
    """What the page shows of a model: values of fact sheets with their scores. answers: how many they were in."""
    own = [each for each in found.methods if each.method in METHODS]
    return measured.Measured(
        weights=about["weights"],
        model=about["model"],
        part=about["part"],
        date=about["date"],
        answers=answers,
        wrong=np.array([not each.right for each in found.level.rows], bool),
        scores={each.method: np.clip(-found.level.scores[each.method], -_MOST_DOUBT, _MOST_DOUBT) for each in own},
        auroc={each.method: each.figures["auroc"].here for each in own},
    )


def as_text(levels: Sequence[Reported]) -> Iterator[str]:
    """Lines of Markdown with tables of all levels; the primary comparison first. Names of peers are escaped."""
    for each in levels:
        if each.level.name == PRIMARY:
            yield from map(one_line, _primary(each))
    for each in levels:
        yield from map(one_line, _table(each))


def _primary(found: Reported) -> Iterator[str]:
    own = next((each for each in found.methods if each.method == found.level.default), None)
    if own is None or own.against is None:
        return
    yield f"Primary comparison, named beforehand: {found.level.default} against {found.level.baseline}, {PRIMARY}"
    yield f"  Difference in AUROC: {_signed(own.against.difference)}, {formatting.p_value(own.against.p_value)}"
    yield f"  Ratio: {_cell(own.against.ratio)}"
    yield f"  {_verdict(own.method, own.against.difference, found.level)}"
    yield ""


def _verdict(name: str, difference: Two, level: Level) -> str:
    low, high = difference.elsewhere.low, difference.elsewhere.high
    what = f"On {len(level.rows):,} rows, {name}"
    if low > 0:
        return f"{what} was better than {level.baseline}, also for other templates."
    if high < 0:
        return f"{what} was worse than {level.baseline}, also for other templates."
    at_most = f"; it is better by at most {high:.3f}" if math.isfinite(high) and high < LEAST_EFFECT else ""
    return f"{what} was not shown to be better than {level.baseline} for other templates{at_most}."


def _table(found: Reported) -> Iterator[str]:
    level = found.level
    rows = level.rows
    wrong = sum(not each.right for each in rows)
    yield f"### {level.name[:1].upper()}{level.name[1:]}"
    if not rows:
        yield "Nothing was graded."
        yield ""
        return
    share = formatting.percent(wrong / len(rows))
    sizes = (len({each.template for each in rows}), len({each.entity for each in rows}))
    entities = "entity" if sizes[1] == 1 else "entities"
    yield f"n = {len(rows):,}, {share} wrong; {formatting.count(sizes[0], 'template')}, {sizes[1]:,} {entities}."
    yield ""
    against = f"{_NAMES[level.figure]} − baseline's"
    yield "| Method | " + " | ".join(_NAMES[name] for name in FIGURES) + f" | {against} | Ratio | p, Holm |"
    yield "|---|" + "---|" * (len(FIGURES) + 3)
    for each in found.methods:
        cells = [_cell(each.figures[name]) for name in FIGURES]
        yield f"| {_label(each, level)} | " + " | ".join([*cells, *_compared(each.against)]) + " |"
    for name, why in level.left_out.items():
        yield f"| {name} | not computed: {why} |" + " |" * (len(FIGURES) + 2)
    yield ""


def _label(each: Detected, level: Level) -> str:
    name, gate = each.method.split(", ", 1) if level.figure == "ap" and ", " in each.method else (each.method, "")
    known = METHODS if level.by_entity else ANSWER_METHODS
    label = known[name].label if name in known else _MARKUP.sub(r"\\\g<0>", name)
    notes = [gate] if gate else []
    notes += ["default"] * (each.method == level.default) + ["baseline"] * (each.method == level.baseline)
    notes += [f"{each.missing:,} missing"] * bool(each.missing)
    return f"{label} ({', '.join(notes)})" if notes else label


def _compared(found: Against | None) -> list[str]:
    if found is None:
        return [formatting.MISSING] * 3
    p_value = formatting.MISSING if math.isnan(found.adjusted) else formatting.p_value(found.adjusted)
    return [_signed(found.difference), _cell(found.ratio), p_value.removeprefix("p = ").removeprefix("p ")]


def _cell(figure: Two) -> str:
    """0.799 (0.76–0.84; 0.71–0.87): for these templates; for others."""
    if math.isnan(figure.value):
        return formatting.MISSING
    return f"{figure.value:.3f} ({_range(figure, '.2f')})"


def _signed(figure: Two) -> str:
    if math.isnan(figure.value):
        return formatting.MISSING
    return f"{figure.value:+.3f} ({_range(figure, '+.3f')})".replace("-", "−")


def _range(figure: Two, form: str) -> str:
    ends = [(each.low, each.high) for each in (figure.here, figure.elsewhere)]
    return "; ".join(
        formatting.MISSING if math.isnan(low) else f"{low:{form}} to {high:{form}}".replace("-", "−")
        for low, high in ends
    )
