"""Group cells into words, sentences, lines and pattern matches.

A group is always a run of whole cells. A token that spans a boundary belongs to the group of its first character that
is not white space. Boundaries follow Unicode Standard Annex #29 (its word rules, and its main sentence rules). None
depends on more than the next cell, so only the last groups change as a text grows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import regex
from numpy.typing import NDArray

from lib.errors import InvalidPattern
from lib.segmentation.cells import Cells
from lib.segmentation.char_classes import Classes, Points, points_of
from lib.segmentation.patterns import compiled
from lib.segmentation.word_break import word_boundaries

Flags = NDArray[np.bool_]

TIME_LIMIT = 0.2  # seconds for a user's pattern
LONGEST = 1000  # cells after which a line is split at the next word …
_LATEST = 1200  # … and after which it is split anywhere


@dataclass(frozen=True, eq=False)
class Groups:
    """Start flags (bool[m]) of words, sentences and lines. Every line starts a sentence, every sentence a word."""

    cells: Cells
    special: Flags  # bool[m], control tokens, each a separate word and sentence

    @cached_property
    def words(self) -> Flags:
        """Starts of words and of the text between them, as in Annex #29."""
        return self._words | self.sentences

    @cached_property
    def sentences(self) -> Flags:
        """Starts of sentences. A sentence never continues past its line."""
        return self._sentences | self.lines

    @cached_property
    def lines(self) -> Flags:
        """Starts of lines. Very long lines are split."""
        lines = self._begins(_after_newlines(self._points))
        if np.diff(np.flatnonzero(np.append(lines, True))).max(initial=0) > LONGEST:
            _split_long(lines, self._words | self._sentences)
        return lines

    @cached_property
    def _words(self) -> Flags:
        return self._begins(np.flatnonzero(word_boundaries(self._points))) | self._alone

    @cached_property
    def _sentences(self) -> Flags:
        ends = np.array([match.end() for match in SENTENCE.finditer(self.cells.text)], np.intp)
        return self._begins(ends) | self._alone

    @cached_property
    def _points(self) -> Points:
        return points_of(self.cells.text)

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        """int[m]: offset of each cell's first character that is not white space, or of its first if all are."""
        ink = np.flatnonzero(_SPACES.of(self._points) == 0)
        starts = self.cells.starts[:-1]
        found = np.append(ink, len(self._points))[np.searchsorted(ink, starts)]
        return np.where(found < self.cells.starts[1:], found, starts)

    @property
    def _alone(self) -> Flags:
        return self.special | np.roll(self.special, 1)

    def _begins(self, boundaries: NDArray[np.intp]) -> Flags:
        """bool[m]: whether there is a boundary between each cell's place and that of the previous cell."""
        segment = np.searchsorted(boundaries, self._places, side="right")
        found: Flags = np.diff(segment, prepend=-1) != 0
        return found


def wordy(cells: Cells, first: NDArray[np.integer], special: Flags) -> Flags:
    """bool[w]: whether each word has a letter or digit and is not a control token. first: int[w], its first cell."""
    if not len(first):
        return np.zeros(0, bool)
    before = np.append(0, np.cumsum(_LETTERS.of(points_of(cells.text)), dtype=np.intp))
    starts = cells.starts[np.append(first, len(cells))]
    found: Flags = (np.diff(before[starts]) > 0) & ~special[first]
    return found


def matches(cells: Cells, pattern: str, seconds: float = TIME_LIMIT) -> list[tuple[int, int]]:
    """The matches of a regular expression as ranges of cells (first, last + 1), in order and without overlap.

    A cell shared by two matches belongs to the first. Raises InvalidPattern if the pattern is invalid, too long, or
    takes longer than `seconds`.
    """
    found: list[tuple[int, int]] = []
    done = 0
    for start, end in _character_spans(cells.text, pattern, seconds):
        first = max(int(np.searchsorted(cells.starts, start, side="right")) - 1, done)
        last = int(np.searchsorted(cells.starts, end, side="left"))
        if start < end and first < last:
            found.append((first, last))
            done = last
    return found


def _character_spans(text: str, pattern: str, seconds: float) -> list[tuple[int, int]]:
    """(start, end) of each match. Raises InvalidPattern."""
    try:
        found_all = compiled(pattern).finditer(text, timeout=max(seconds, 1e-3), concurrent=True)
        return [match.span() for match in found_all]
    except TimeoutError as error:
        raise InvalidPattern(
            f"The pattern took longer than {TIME_LIMIT * 1000:.0f} ms.", "Simplify it, with fewer nested repeats."
        ) from error


def matches_in(parts: tuple[Cells, ...], pattern: str) -> list[list[tuple[int, int]]]:
    """The `matches` in each of several texts, within one shared time limit. Raises InvalidPattern."""
    deadline = time.monotonic() + TIME_LIMIT
    return [matches(cells, pattern, deadline - time.monotonic()) for cells in parts]


def _after_newlines(points: Points) -> NDArray[np.intp]:
    """Character offsets after each line break."""
    kinds = _NEWLINES.of(points)
    pairs = (kinds[:-1] == _RETURN) & (points[1:] == ord("\n"))  # one line break, not two
    ends: NDArray[np.intp] = np.flatnonzero(np.where(np.append(pairs, False), 0, kinds)) + 1
    return ends


def _split_long(lines: Flags, words: Flags) -> None:
    """Split long lines in place, at a word boundary if one is near."""
    begins = np.append(np.flatnonzero(lines), len(lines))
    for start, end in pairwise(begins):
        while end - start > LONGEST:
            near = np.flatnonzero(words[start + LONGEST : min(start + _LATEST, end)])
            start += LONGEST + (near[0] if len(near) else _LATEST - LONGEST)
            if start < end:
                lines[start] = True


_SPACES = Classes(r"\s")
_LETTERS = Classes(r"[\p{L}\p{N}\p{M}]")
_NEWLINES = Classes(r"\r", r"[\n\x0b\f\x85\u2028\u2029]")
_RETURN = 1  # class of \r in _NEWLINES
# A sentence ends after ! ? 。 and similar, after a full stop followed by white space but no lower-case letter, and at
# the end of its line. Closing quotes and brackets, and white space, still belong to it.
SENTENCE = regex.compile(
    # Match a run of full stops only from its first one, to avoid quadratic time.
    r"(?:\p{SB=STerm}++\p{SB=Close}*+[^\S\n]*+|(?<!\p{SB=ATerm})\p{SB=ATerm}++\p{SB=Close}*+[^\S\n]+(?!\p{Ll}))\n*+"
    r"|[\n\u2028\u2029]"
)
