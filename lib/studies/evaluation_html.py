"""The outcome of an evaluation as one HTML page that opens without a server: no scripts, nothing to load."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from lib import VERSION, formatting
from lib.scores.confidence import ALL_SCORES
from lib.segmentation.char_classes import marked, plain
from lib.statistics.verdict import Slice, verdict
from lib.studies.evaluation_comparison import Comparison
from lib.studies.evaluation_outcome import EvaluationOutcome, Side
from lib.studies.evaluation_report import Calibration, Report
from lib.studies.evaluation_rows import Answered
from lib.studies.evaluation_svg import histogram_svg, reliability_svg, risk_svg
from lib.studies.evaluation_text import (
    VERDICTS,
    WORDING,
    change_in_words,
    in_words,
    number,
    points,
    sentence,
    settings_in_words,
    share,
)

_CELL = 300  # characters
_MOST_FLIPS = 200
_SETTINGS = 2_000  # characters

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --faint: #697077; --rule: #dfe3e8; --accent: #3b5bdb; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --faint: #a0a7af; --rule: #33383e; --accent: #8ea2ff; --paper: #14171a; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.7rem 0.3rem 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: anywhere; }
th { color: var(--faint); font-weight: 500; } td { white-space: pre-wrap; }
.faint { color: var(--faint); font-size: 0.9rem; } .wide { overflow-x: auto; }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem; } .charts svg { flex: 1 1 20rem; max-width: 28rem; }
svg text { fill: var(--faint); font-size: 11px; } .band { fill: var(--faint); opacity: 0.2; }
.right { fill: var(--accent); opacity: 0.8; } .wrong { fill: var(--faint); opacity: 0.8; }
.line { fill: none; stroke: var(--accent); stroke-width: 2; } .even { fill: none; stroke: var(--faint);
  stroke-dasharray: 2 3; } .rug { stroke: var(--faint); opacity: 0.5; } .grid { stroke: var(--rule); }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def as_html(outcome: EvaluationOutcome, *, when: datetime | None = None) -> str:
    """The page. when: the date in it; now by default."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_safe(outcome.title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Does confidence mean correctness?</h1><p>{_safe(outcome.title)}</p>",
        *_comparisons(outcome),
        *(part for side in outcome.sides for part in _side(side, several=len(outcome.sides) > 1)),
        f'<p class="faint">{_about(outcome, when or datetime.now(UTC))}</p></body></html>',
    ]
    return "\n".join(parts)


def _about(outcome: EvaluationOutcome, when: datetime) -> str:
    models = "; ".join(
        f"{each.name} ({each.source.name}{', weights ' + each.weights[:12] if each.weights else ''})"
        for each in outcome.sides
    )
    rule = f", graded by the rule “{outcome.grader.rule}”" if outcome.sides[0].report.accuracy else ""
    return _safe(
        f"Candor {VERSION}, {when:%Y-%m-%d %H:%M} UTC. {models}. Task: {outcome.task}{rule}. Intervals are 95% "
        "intervals, by bootstrap or exact; a score of an answer is not the probability that it is right."
    )


def _comparisons(outcome: EvaluationOutcome) -> Iterator[str]:
    first = outcome.sides[0]
    for side, found in zip(outcome.sides[1:], outcome.comparisons, strict=True):
        yield f"<h2>{_safe(side.name)} against {_safe(first.name)}</h2>"
        yield f'<p class="faint">On {formatting.count(found.n, "question")} that both answered.</p>'
        yield _table(
            ("", "Before", "After", "Difference", ""),
            [
                (sentence(name), f"{found.first[name]:.3f}", f"{found.second[name]:.3f}", number(each),
                 change_in_words(name, found))
                for name, each in found.differences.items()
            ],
        )  # fmt: skip
        yield from _flips(first, side, found)


def _flips(first: Side, second: Side, found: Comparison) -> Iterator[str]:
    if "accuracy" not in found.differences:
        return
    yield (
        f"<p>{len(found.gained):,} gained, {len(found.lost):,} lost; McNemar’s exact test: "
        f"{_safe(formatting.p_value(found.p_value))}.</p>"
    )
    for name, places in (("Gained", found.gained), ("Lost", found.lost)):
        if places:
            yield f"<h3>{name}{_first_of(places)}</h3>"
            yield _table(
                ("Row", "Prompt", "Expected", "Before", "After"),
                [
                    (f"{row.question.row:,}", row.question.prompt, " | ".join(row.question.expected),
                     _answer(row), _answer(second.rows[place]))
                    for place in places[:_MOST_FLIPS]
                    for row in (first.rows[place],)
                ],
            )  # fmt: skip


def _first_of(places: Sequence[int]) -> str:
    return f": the first {_MOST_FLIPS} of {len(places):,}" if len(places) > _MOST_FLIPS else ""


def _side(side: Side, *, several: bool) -> Iterator[str]:
    found = side.report
    if several:
        yield f"<h2>{_safe(side.name)}</h2>"
    if side.settings:
        yield f'<p class="faint">{_safe(formatting.beginning(settings_in_words(side), _SETTINGS))}</p>'
    failed = f" {formatting.count(found.failed, 'question')} failed." if found.failed else ""
    failed += f" {formatting.count(found.not_asked, 'question')} not asked." if found.not_asked else ""
    overruled = f" {formatting.count(found.overruled, 'grade')} set by hand." if found.overruled else ""
    if found.accuracy is not None:
        yield f"<p>{found.answered:,} of {found.n:,} answered and graded.{failed}{overruled}</p>"
    yield _table(("", "", ""), list(_headline(found)))
    yield from (f'<p class="faint">{_safe(each)}</p>' for each in found.missing)
    for calibration in (found.stated, found.recalibrated):
        if calibration is not None:
            yield from _calibration(found, calibration)
    if found.curve is not None:
        yield f'<h3>Above which score can you release answers?</h3><div class="charts">{risk_svg(found.curve)}</div>'
        yield "<ul>" + "".join(f"<li>{_safe(in_words(each))}</li>" for each in found.guarantees) + "</ul>"
    yield from _rows("Most confident mistakes", found.mistakes, side.rows, found.score)
    yield from _rows("Least confident right answers", found.doubtful, side.rows, found.score)


def _headline(found: Report) -> Iterator[tuple[str, ...]]:
    if found.accuracy is not None:
        yield "Accuracy", share(found.accuracy), ""
    for name, each in found.texts.items():
        yield sentence(name), number(each), ""
    for name, each in found.discrimination.items():
        yield sentence(name), number(each), f"of “{ALL_SCORES[found.score].label}”"
    for name, each in found.selective.items():
        nothing, oracle = found.references[name]
        yield sentence(name), number(each), f"an uninformative score: {nothing:.3f}, a perfect one: {oracle:.3f}"


def _calibration(report: Report, found: Calibration) -> Iterator[str]:
    figures = found.figures
    means = (
        f"Mean probability of right answers: {number(figures['mean of right'])}; of wrong ones: "
        f"{number(figures['mean of wrong'])}."
    )
    if not report.judges(found):
        yield f"<h3>{_safe(formatting.capital(found.what))}</h3><p>{_safe(WORDING)} {means}</p>"
        return
    yield f"<h3>Calibration of {_safe(found.what)}: {VERDICTS[found.verdict]}</h3>"
    yield f"<p>Mean probability minus accuracy: {number(figures['gap'])}. {means}</p>"
    yield f'<div class="charts">{reliability_svg(found.line)}{histogram_svg(found.p, found.right)}</div>'
    yield _table(
        ("", "Measured", "If calibrated (median)", "95th percentile"),
        [
            (sentence(name), number(found.figures[name]), f"{each.median:.3f}", f"{each.high:.3f}")
            for name, each in found.expected.items()
        ],
    )
    yield _table(
        ("Rows", "n", "Accuracy", "Mean probability", "Difference", "Verdict"),
        [_slice(each) for each in (*found.bins, *found.slices)],
    )


def _slice(each: Slice) -> tuple[str, ...]:
    return (each.name, f"{len(each.rows):,}", f"{each.accuracy:.1%}", f"{each.confidence:.1%}", points(each.gap),
            VERDICTS[verdict(each.gap)])  # fmt: skip


def _rows(title: str, places: Sequence[int], rows: Sequence[Answered], score: str) -> Iterator[str]:
    if places:
        yield f"<h3>{title}</h3>"
        yield _table(
            ("Row", "Prompt", "Expected", "Answer", "Score", "Probability"),
            [
                (f"{row.question.row:,}", row.question.prompt, " | ".join(row.question.expected), _answer(row),
                 f"{row.scores[score]:.3f}", f"{row.stated:.3f}")
                for row in (rows[place] for place in places)
            ],
        )  # fmt: skip


def _answer(row: Answered) -> str:
    text = "" if row.completion is None else row.completion.text
    return f"{text.strip()} (graded by hand)" if row.overruled else text.strip()


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{each}</th>" for each in heads) if any(heads) else ""
    body = "".join(
        "<tr>" + "".join(f"<td>{_safe(formatting.beginning(each, _CELL))}</td>" for each in row) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _safe(text: str) -> str:
    return html.escape(marked(plain(text)))
