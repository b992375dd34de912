"""What `candor evaluate-contexts` reports, as JSON and as tables of text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.contexts.measured import Measured
from lib.contexts.recall import ALONE, TOPS, Recalled, ScoredQuestion, recalled
from lib.contexts.scorings import SCORINGS
from lib.formatting import MISSING, capital, count
from lib.segmentation.char_classes import encodable
from lib.statistics.bootstrap import Interval
from lib.terminal import one_line

_MARKUP = re.compile(r"[\\|<\[`]")  # what would end a cell, or begin a tag, a link or code


@dataclass(frozen=True)
class Answered:
    """Full answers from some passages."""

    name: str  # which passages, such as "the best two"
    right: Interval  # the share of answers that contain an expected one


@dataclass(frozen=True)
class Report:
    """Everything that was measured in one run."""

    about: Mapping[str, Any]  # the model, the questions and how they were asked
    groups: Mapping[str, Recalled]  # by kind of question; "" for all
    chosen_on: str  # the part that the best scoring was chosen on
    answered: Sequence[Answered] = ()  # empty if full answers were not asked for

    @property
    def whole(self) -> Recalled:
        """What was measured on all questions."""
        return self.groups[""]


def groups_of(rows: Sequence[ScoredQuestion], best: str) -> dict[str, Recalled]:
    """Recall on all questions, and on those of each kind if there are several."""
    kinds = dict.fromkeys(each.about.kind for each in rows)
    found = {"": recalled(rows, best)}
    for kind in kinds if len(kinds) > 1 else ():
        found[kind or "no kind"] = recalled([each for each in rows if each.about.kind == kind], best)
    return found


def measurement(report: Report) -> Measured:
    """What the page Contexts shows of the report."""
    about, whole = report.about, report.whole
    return Measured(
        **{name: about[name] for name in ("weights", "mode", "order", "part", "date", "data", "digest")},
        model=about["name"],
        n=whole.n,
        best=whole.best,
        chosen_on=report.chosen_on,
        first={name: whole.recalls[name].kept[0] for name in ALONE if name in whole.recalls},
    )


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    return {
        **report.about,
        "best": report.whole.best,
        "chosen_on": report.chosen_on,
        "groups": [_group(name, each) for name, each in report.groups.items()],
        "answers": [{"from": each.name, "right": _numbers(each.right)} for each in report.answered],
    }


def lines_of(rows: Sequence[ScoredQuestion]) -> str:
    """The scores of each question as JSON Lines."""
    return encodable("".join(json.dumps(_line(each), ensure_ascii=False) + "\n" for each in rows))


def as_text(report: Report) -> Iterator[str]:
    """Lines of Markdown: a table for all questions and for each kind, differences, and full answers."""
    for name, each in report.groups.items():
        yield from map(one_line, _table(name, each))
    yield from map(one_line, _conclusion(report))


def _table(name: str, found: Recalled) -> Iterator[str]:
    yield f"### {capital(_escaped(name)) or 'All questions'}, n = {found.n:,}"
    yield ""
    yield "How often the right passage is kept, with 95% intervals by question."
    yield ""
    yield f"| Scoring | {' | '.join(_heads(found))} |"
    yield f"|---|{'---|' * len(TOPS)}"
    for scoring, each in found.recalls.items():
        missing = f" ({count(each.missing, 'passage')} without)" if each.missing else ""
        cells = " | ".join(_percent(one) for one in each.kept)
        yield f"| {_label(scoring)}{', best' if scoring == found.best else ''}{missing} | {cells} |"
    yield ""


def _heads(found: Recalled) -> Iterator[str]:
    for most, share in zip(TOPS, found.saved, strict=True):
        yield f"top {most}, saves {MISSING if math.isnan(share) else f'{share:.0%}'}"


def _conclusion(report: Report) -> Iterator[str]:
    whole = report.whole
    if not whole.best:
        yield "No scoring has any scores."
        return
    where = f"chosen on {_escaped(report.chosen_on)}" if report.chosen_on else "chosen on these questions"
    yield f"Best of those that need no answer: {_label(whole.best)}, {where}."
    yield "Right passage first, paired differences in points:"
    for name, each in whole.differences.items():
        yield f"- {_label(whole.best)} − {_label(name)}: {_points(each)}"
    if report.answered:
        yield ""
        yield f"| Answered from | right, n = {report.answered[0].right.n:,} |"
        yield "|---|---|"
        for own in report.answered:
            yield f"| {own.name} | {_percent(own.right)} |"


def _label(name: str) -> str:
    return SCORINGS[name].label if name in SCORINGS else name


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", text)


def _percent(about: Interval) -> str:
    if math.isnan(about.value):
        return MISSING
    limits = "" if math.isnan(about.low) else f" ({about.low:.0%} to {about.high:.0%})"
    return f"{about.value:.0%}{limits}"


def _points(about: Interval) -> str:
    limits = "" if math.isnan(about.low) else f" ({_signed(about.low)} to {_signed(about.high)})"
    return f"{_signed(about.value)}{limits}"


def _signed(share: float) -> str:
    points = round(100 * share)
    return f"{points:+d}".replace("-", "−") if points else "0"


def _group(name: str, found: Recalled) -> dict[str, Any]:
    return {
        "kind": name,
        "n": found.n,
        "saved": [_number(each) for each in found.saved],
        "scorings": [
            {"scoring": scoring, "missing": each.missing, "kept": [_numbers(one) for one in each.kept]}
            for scoring, each in found.recalls.items()
        ],
        "differences": {name: _numbers(each) for name, each in found.differences.items()},
    }


def _line(row: ScoredQuestion) -> dict[str, Any]:
    return {
        "id": row.about.id,
        "kind": row.about.kind,
        "right": row.about.passages[row.about.right].id,
        "passages": [each.id for each in row.about.passages],
        "tokens": list(row.tokens),
        "scores": {name: [_number(each) for each in own] for name, own in row.scores.items()},
        "answer": row.answer,
        "drafts": list(row.drafts),
    }


def _numbers(about: Interval) -> dict[str, Any]:
    return {"value": _number(about.value), "interval": [_number(about.low), _number(about.high)], "n": about.n}


def _number(value: float) -> float | None:
    return round(float(value), 5) if math.isfinite(value) else None
