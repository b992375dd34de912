"""The words of an answer, and the terms that state facts: names, numbers, dates and quoted terms.

Words are those of Unicode Standard Annex #29, without white space, punctuation and markup. What kind of word it is, its
letters tell: a capital, a digit, quotation marks around it. That is a rule of thumb. A sentence's first word has a
capital anyway, so it counts as a name unless it is one that sentences open with, or stands elsewhere without. German
has a capital on every noun. Scripts without capitals do not tell names at all, so every word of theirs is a term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import regex
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.doubts.function_words import ABBREVIATIONS, FUNCTION_WORDS, MONTHS, NUMBER_WORDS, PARTICLES
from lib.scores.token_scores import answer_mask
from lib.segmentation.cells import Cells, readable, split
from lib.segmentation.char_classes import Classes, points_of
from lib.segmentation.groups import SENTENCE
from lib.segmentation.word_break import word_boundaries

Ints = NDArray[np.int32]
Flags = NDArray[np.bool_]


class Kind(StrEnum):
    """What a term states. The values are shown and stored."""

    NAME = "name"
    NUMBER = "number"
    DATE = "date"
    QUOTED = "quoted term"
    WORD = "word"  # none of these, or in a script that does not tell


class Gate(StrEnum):
    """Which words of an answer can be flagged. The values are stored."""

    TERMS = "terms"  # names, numbers, dates and quoted terms
    CONTENT = "content words"  # those, and ordinary words that are no function words
    ALL = "all words"


@dataclass(frozen=True, eq=False)
class Terms:
    """`m` words of an answer, or runs of words, in reading order."""

    first: Ints  # int32[m]: the row of the first token in `completion.generated`
    last: Ints  # int32[m]: the row after the last token
    start: Ints  # int32[m]: character offset in `text`
    end: Ints  # int32[m]: offset after the last character
    kinds: tuple[Kind, ...]
    text: str  # of all generated tokens; invalid bytes are lone surrogates

    def __len__(self) -> int:
        return len(self.kinds)

    def only(self, kept: Flags) -> Terms:
        """The terms under a mask, bool[m]."""
        places = np.flatnonzero(kept)
        kinds = tuple(self.kinds[place] for place in places)
        return Terms(self.first[places], self.last[places], self.start[places], self.end[places], kinds, self.text)

    def text_of(self, place: int) -> str:
        """The term as it is in the answer, with invalid bytes as U+FFFD."""
        return readable(self.text[self.start[place] : self.end[place]])

    def before(self, place: int, characters: int) -> str:
        """At most that many characters before the term."""
        start = int(self.start[place])
        return readable(self.text[max(0, start - characters) : start])


def words(completion: Completion) -> Terms:
    """Every word of an answer."""
    found = _Words(completion)
    return found.terms([(each, each, found.kinds[each]) for each in range(len(found.starts))])


def terms(completion: Completion, gate: Gate = Gate.TERMS) -> Terms:
    """The terms of an answer; with a wider gate, its other words as well, each as a term of its own."""
    found = _Words(completion)
    runs = found.runs()
    if gate is not Gate.TERMS:
        taken = {each for first, last, _ in runs for each in range(first, last + 1)}
        rest = [each for each in range(len(found.starts)) if each not in taken]
        if gate is Gate.CONTENT:
            rest = [each for each in rest if found.lower[each] not in FUNCTION_WORDS]
        runs = sorted([*runs, *((each, each, Kind.WORD) for each in rest)])
    return found.terms(runs)


class _Words:
    """The words of an answer with what tells their kinds."""

    def __init__(self, completion: Completion) -> None:
        tokens = completion.generated
        self.cells: Cells = split(tokens.pieces, tokens.refs)
        self.text = self.cells.text
        points = points_of(self.text)
        counted = np.append(0, np.cumsum(answer_mask(tokens)))
        kinds = _LETTERS.of(points)
        kinds[_inside(_MARKUP, self.text)] = 0
        bounds = np.flatnonzero(word_boundaries(points))
        starts, ends = bounds[:-1], bounds[1:]
        written = np.append(0, np.cumsum(kinds > 0))
        first, last = self.rows(starts, ends)
        keep = (written[ends] > written[starts]) & (counted[last] > counted[first])
        self.starts, self.ends = starts[keep], ends[keep]
        self.first, self.last = first[keep], last[keep]
        # The first letter or digit of each word, and whether it has any of a kind.
        ink = np.flatnonzero(kinds)
        self.initial = kinds[ink[np.searchsorted(ink, self.starts)]] if len(ink) else np.zeros(0, np.uint8)
        self.lower = [self.text[a:b].casefold().replace("’", "'") for a, b in zip(self.starts, self.ends, strict=True)]
        self.prompt = completion.request.last_user_text if completion.request is not None else ""

    def rows(self, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> tuple[Ints, Ints]:
        """The first token of ranges of characters, and the token after their last. A token may have several."""
        if not len(starts):
            return np.zeros(0, np.int32), np.zeros(0, np.int32)
        begins = self.cells.starts
        cells = np.searchsorted(begins, starts, side="right") - 1
        after = np.searchsorted(begins, ends, side="left")
        return self.cells.first[cells], self.cells.first[after]

    @cached_property
    def opens(self) -> Flags:
        """bool[words]: whether a word is the first of its sentence or line."""
        ends = [match.end() for match in SENTENCE.finditer(self.text)]
        sentence = np.searchsorted(np.array(ends, np.intp), self.starts, side="right")
        found: Flags = np.diff(sentence, prepend=-1) != 0
        return found

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        found = np.full(len(self.starts), 0, np.uint8)
        found[self.initial == _UPPER] = _PLACES[Kind.NAME]
        found[self.initial == _DIGIT] = _PLACES[Kind.NUMBER]
        for place in map(int, np.flatnonzero((self.initial == _UPPER) & self.opens)):
            if self.lower[place] in FUNCTION_WORDS or self.lower[place] in self._without_capital:
                found[place] = 0
        for place, lower in enumerate(self.lower):
            if lower in NUMBER_WORDS:
                found[place] = _PLACES[Kind.NUMBER]
        # Function words with a capital inside a sentence, such as I, state nothing either; US and May do.
        for place in map(int, np.flatnonzero(found == _PLACES[Kind.NAME])):
            lower, written = self.lower[place], self.text[self.starts[place] : self.ends[place]]
            if lower in FUNCTION_WORDS - MONTHS and (len(written) < 2 or not written.isupper()):
                found[place] = 0
        kinds = [_KINDS[each] for each in found]
        for start, end in _quotations(self.text):
            first, last = np.searchsorted(self.starts, [start, end])
            if 0 < last - first <= _MOST_QUOTED:
                kinds[first:last] = [Kind.QUOTED] * int(last - first)
        return tuple(kinds)

    @cached_property
    def _without_capital(self) -> frozenset[str]:
        """Words of answer and prompt that are written without a capital."""
        own = (self.text[a:b] for a, b in zip(self.starts, self.ends, strict=True))
        return frozenset(each for each in (*own, *_WORD.findall(self.prompt[:_MOST_PROMPT])) if each.islower())

    def runs(self) -> list[tuple[int, int, Kind]]:
        """The terms: (first word, last word, kind) of each."""
        found: list[tuple[int, int, Kind]] = []
        kinds = self.kinds
        place = 0
        while place < len(kinds):
            last, kind = self._run_from(place)
            if kind is not Kind.WORD or self.initial[place] == _CASELESS:
                found.append((place, last, kind))
            place = last + 1
        return found

    def _run_from(self, place: int) -> tuple[int, Kind]:
        """The last word of the term that begins at a word, and its kind."""
        kind, last = self.kinds[place], place
        if kind is Kind.WORD:
            return place, kind
        while (following := self._next(last, kind)) is not None:
            last = following
        if kind in (Kind.NAME, Kind.NUMBER) and (whole := self._date(place)) is not None:
            return whole, Kind.DATE
        return last, kind

    def _next(self, place: int, kind: Kind) -> int | None:
        """The next word of a term of this kind; None if it ends."""
        for following in range(place + 1, min(place + 2 + _MOST_PARTICLES, len(self.kinds))):
            gap = self.text[self.ends[following - 1] : self.starts[following]]
            if not _JOINING[kind].fullmatch(gap) or (gap[:1] == "." and not self._is_short_for(following - 1)):
                return None
            if self.kinds[following] is kind:
                return following
            if kind is not Kind.NAME or self.lower[following] not in PARTICLES:
                return None
        return None

    def _is_short_for(self, place: int) -> bool:
        """Whether a full stop after a word shortens it rather than ends a sentence: J., U.S., St."""
        lower = self.lower[place]
        return len(lower) == 1 or "." in lower or lower in ABBREVIATIONS

    def _date(self, place: int) -> int | None:
        """The last word of a date that begins at a word; None if none does: 5 May 1990, May 1990, 1990-05-17."""
        parts = [place]
        while len(parts) < _MOST_OF_A_DATE and (following := parts[-1] + 1) < len(self.kinds):
            gap = self.text[self.ends[parts[-1]] : self.starts[following]]
            numeric = self.initial[following] == _DIGIT or self.lower[following] in MONTHS
            over = self._is_year(parts[-1]) and any(self.lower[each] in MONTHS for each in parts)
            if not numeric or over or not _IN_DATES.fullmatch(gap):
                break
            parts.append(following)
        months = [each for each in parts if self.lower[each] in MONTHS]
        written = self.text[self.starts[parts[0]] : self.ends[parts[-1]]]
        if len(parts) > 1 and (len(months) == 1 or _NUMERIC_DATE.fullmatch(written)):
            return parts[-1]
        return None

    def _is_year(self, place: int) -> bool:
        return bool(self.initial[place] == _DIGIT and self.ends[place] - self.starts[place] == len("1990"))

    def terms(self, runs: Sequence[tuple[int, int, Kind]]) -> Terms:
        first = np.array([each for each, _, _ in runs], np.intp)
        last = np.array([each for _, each, _ in runs], np.intp)
        return Terms(
            self.first[first].astype(np.int32),
            self.last[last].astype(np.int32),
            self.starts[first].astype(np.int32),
            self.ends[last].astype(np.int32),
            tuple(kind for _, _, kind in runs),
            self.text,
        )


def _quotations(text: str) -> list[tuple[int, int]]:
    """(start, end) of what stands in quotation marks or backquotes, on one line."""
    return [match.span(match.lastindex or 0) for match in _QUOTED.finditer(text)]


def _inside(pattern: regex.Pattern[str], text: str) -> Flags:
    """bool[characters]: what the matches of a pattern cover."""
    found = np.zeros(len(text), bool)
    for match in pattern.finditer(text):
        found[match.start() : match.end()] = True
    return found


_KINDS = (Kind.WORD, Kind.NAME, Kind.NUMBER)
_PLACES = {kind: place for place, kind in enumerate(_KINDS)}
_UPPER, _DIGIT, _CASELESS, _OTHER = 1, 2, 3, 4
_LETTERS = Classes(r"[\p{Lu}\p{Lt}]", r"\p{N}", r"[\p{Lo}]", r"[\p{L}\p{M}]")
_MARKUP = regex.compile(r"</?[A-Za-z][^<>\n]{0,200}>|\\[A-Za-z]{1,30}|&[A-Za-z]{2,8};")
_QUOTED = regex.compile(
    r"“([^“”\n]{1,80})”|„([^„“”\n]{1,80})[“”]|«([^«»\n]{1,80})»|‹([^‹›\n]{1,80})›|「([^「」\n]{1,80})」|『([^『』\n]{1,80})』"
    r'|(?<![\w"])"([^"\n]{1,80})"(?![\w"])|(?<![\w`])`([^`\n]{1,80})`(?![\w`])|(?<![\w‘’])‘([^‘’\n]{1,80})’(?!\w)'
)
_WORD = regex.compile(r"[\p{L}\p{M}'’]+")
_MOST_QUOTED = 6  # words; longer ones are speech rather than a term
_MOST_PARTICLES = 2
_MOST_OF_A_DATE = 4
_MOST_PROMPT = 100_000  # characters
_JOINING = {
    Kind.NAME: regex.compile(r"[^\S\n]|-|–|\.[^\S\n]?|[^\S\n]?&[^\S\n]?|['’]s?[^\S\n]?"),
    Kind.NUMBER: regex.compile(r"[^\S\n]?[-–/:×^][^\S\n]?|[.,]|[^\S\n]"),
    Kind.QUOTED: regex.compile(r"[^“”„\"«»‹›「」『』`\n]*"),
}
_IN_DATES = regex.compile(r"[^\S\n]|,[^\S\n]?|\.[^\S\n]?|-|/|(?:st|nd|rd|th)?[^\S\n]")
_NUMERIC_DATE = regex.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}")
