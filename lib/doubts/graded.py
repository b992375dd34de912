"""Graded answers, values and words with their scores: what shows how well methods find errors.

Scores are confidences here, the higher the more confident, so that one statistic serves answers and terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.doubts import answers, methods
from lib.doubts.answers import ANSWER_METHODS
from lib.doubts.methods import METHODS
from lib.doubts.sheets import Sheet, Span, spans
from lib.doubts.words import Gate, Kind, Terms, terms, words

Column = NDArray[np.float64]

SPANS, WORDS = "values of fact sheets", "words of fact sheets"
BASELINE = "mean"  # of answers and values: what the default is compared with
GATES = {"terms only": Gate.TERMS, "content words": Gate.CONTENT, "all words": Gate.ALL}
# The raw probabilities of tokens: a word is as doubtful as its least likely token.
WORD_BASELINE = "max, all words"
_CERTAIN = 1e6  # the confidence of words that a gate leaves out, above that of any other


@dataclass(frozen=True)
class Labelled:
    """A graded answer, value or word."""

    item_id: str
    template: str
    entity: str
    right: bool


@dataclass(frozen=True, eq=False)
class Level:
    """`n` graded rows of one level, and how confident each method is of each."""

    name: str
    rows: tuple[Labelled, ...]
    scores: Mapping[str, Column]  # by method: float64[n]; NaN where it cannot be told
    default: str  # the method that the page uses
    baseline: str
    figure: str = "auroc"  # what methods are compared by: "auroc", or "ap" of the wrong ones
    by_entity: bool = False  # whether rows of one entity belong together
    left_out: Mapping[str, str] = field(default_factory=dict)  # methods that cannot be computed, and why
    peers: frozenset[str] = frozenset()  # methods of other libraries


@dataclass(frozen=True, eq=False)
class GradedSpan:
    """A value of a sheet that is graded, and its tokens."""

    row: Labelled
    span: Span
    terms: Terms  # one
    completion: Completion
    sheet: Sheet


def listed_alternatives(completions: Iterable[Completion]) -> int:
    """The alternatives per position that all answers come with, the chosen token among them; 0 without answers."""
    return min((max(1, each.generated.k) for each in completions if len(each.generated)), default=0)


def answer_level(name: str, rows: Sequence[Labelled], completions: Sequence[Completion]) -> Level:
    """The level of whole answers. completions: of the rows, in the same order."""
    k = listed_alternatives(completions)
    usable, left_out = _usable({each.name: each.needs_k for each in ANSWER_METHODS.values()}, k)
    scores = {each: np.array([ANSWER_METHODS[each].of(done) for done in completions], np.float64) for each in usable}
    return Level(name, tuple(rows), scores, answers.DEFAULT, BASELINE, left_out=left_out)


def spans_of(sheet: Sheet, completion: Completion) -> list[GradedSpan]:
    """The graded values of a sheet's answer with their tokens."""
    found = words(completion)
    graded = []
    for span in spans(sheet, found.text):
        inside = np.flatnonzero((found.start < span.end) & (found.end > span.start))
        if span.right is None or not len(inside):
            continue
        first, last = inside[0], inside[-1]
        one = Terms(
            found.first[first : first + 1], found.last[last : last + 1], found.start[first : first + 1],
            found.end[last : last + 1], (Kind.NAME,), found.text,
        )  # fmt: skip
        row = Labelled(f"{sheet.row_id}: {span.field}", f"{sheet.template}: {span.field}", sheet.entity, span.right)
        graded.append(GradedSpan(row, span, one, completion, sheet))
    return graded


def span_level(graded: Sequence[GradedSpan]) -> Level:
    """The level of values: right against wrong ones."""
    k = listed_alternatives(each.completion for each in graded)
    usable, left_out = _usable({each.name: each.needs_k for each in METHODS.values()}, k)
    scores = {
        name: -np.array([METHODS[name].of(each.completion, each.terms)[0] for each in graded], np.float64)
        for name in usable
    }
    rows = tuple(each.row for each in graded)
    return Level(SPANS, rows, scores, methods.DEFAULT, BASELINE, by_entity=True, left_out=left_out)


def word_level(sheets: Sequence[Sheet], completions: Sequence[Completion]) -> Level:
    """The level of words: those of wrong values against all others, without those of values that aren't graded.

    Each method is tried with each gate: words that it leaves out count as certain. Without a gate, each word has its
    own score; terms of several words have one for all of them.
    """
    k = listed_alternatives(completions)
    usable, left_out = _usable({each.name: each.needs_k for each in METHODS.values()}, k)
    rows: list[Labelled] = []
    columns: dict[str, list[Column]] = {f"{name}, {gate}": [] for name in usable for gate in GATES}
    for sheet, done in zip(sheets, completions, strict=True):
        found = words(done)
        right, kept = word_grades(sheet, found)
        rows += [
            Labelled(f"{sheet.row_id}: word {place}", sheet.template, sheet.entity, bool(right[place]))
            for place in np.flatnonzero(kept)
        ]
        for label, gate in GATES.items():
            gated = found if gate is Gate.ALL else terms(done, gate)
            inside = _term_of(found, gated)
            for name in usable:
                own = np.append(-METHODS[name].of(done, gated), _CERTAIN)
                columns[f"{name}, {label}"].append(own[inside][kept])
    scores = {name: np.concatenate([*each, np.empty(0)]) for name, each in columns.items()}
    default = f"{methods.DEFAULT}, {next(name for name, gate in GATES.items() if gate is methods.DEFAULT_GATE)}"
    return Level(WORDS, tuple(rows), scores, default, WORD_BASELINE, "ap", by_entity=True, left_out=left_out)


def word_grades(sheet: Sheet, found: Terms) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """bool[words], whether a word is not of a wrong value; and bool[words], whether it counts.

    Words after the last value that was found do not count, nor does a passage in which a field was not found: nothing
    says whether these are right.
    """
    right, kept = np.ones(len(found), bool), np.ones(len(found), bool)
    values = spans(sheet, found.text)
    if not values:
        return right, ~kept
    kept[found.start >= values[-1].end] = False
    places = {each.name: place for place, each in enumerate(sheet.fields)}
    end, following = 0, 0
    for each in values:
        inside = (found.start < each.end) & (found.end > each.start)
        if each.right is None:
            kept[inside] = False
        elif not each.right:
            right[inside] = False
        if places[each.field] > following:
            kept[(found.start >= end) & (found.end <= each.start)] = False
        end, following = each.end, places[each.field] + 1
    return right, kept


def _term_of(found: Terms, gated: Terms) -> NDArray[np.intp]:
    """int[words]: the term that each word is in; the number of terms if none."""
    place = np.searchsorted(gated.start, found.start, side="right") - 1
    ends = np.append(gated.end, 0)
    return np.where((place >= 0) & (found.start < ends[place]), place, len(gated)).astype(np.intp)


def _usable(needs: Mapping[str, int], k: int) -> tuple[list[str], dict[str, str]]:
    """The methods that k alternatives per position suffice for, and why the others are left out."""
    reasons = {
        name: f"needs {least} alternatives per position; there are {k}" for name, least in needs.items() if least > k
    }
    return [name for name in needs if name not in reasons], reasons


def with_scores(level: Level, name: str, scores: Mapping[str, float]) -> Level:
    """The level with one more method, as from another library. scores: by item id; those that are missing are NaN."""
    column = np.array([scores.get(each.item_id, np.nan) for each in level.rows], np.float64)
    return replace(level, scores={**level.scores, name: column}, peers=level.peers | {name})
