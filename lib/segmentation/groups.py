"""From cells to words, sentences and lines, and to what a pattern matches: where each group of cells begins.

A token may span a boundary. It belongs where its first character that is no white space lies, so a group is always a
run of whole cells. Boundaries are those of the Unicode Standard, Annex #29 (words as they are, sentences by its main
rules), and none depends on more than the next cell: a text that grows keeps the groups it has, but for its last ones.
"""

from __future__ import annotations

import math
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
from lib.segmentation.word_break import word_boundaries

Flags = NDArray[np.bool_]

TIME_LIMIT = 0.2  # seconds for a reader's pattern
LONGEST = 1000  # cells after which a line is cut at the next word …
_LATEST = 1200  # … and after which it is cut anyway
_LONGEST_PATTERN = 500  # characters
_MOST_REPEATS = 1000


@dataclass(frozen=True, eq=False)
class Groups:
    """Where groups of each sort begin: bool[m] per sort. Every line begins a sentence, every sentence a word.

    special: bool[m], the control tokens, which are words and sentences of their own.
    """

    cells: Cells
    special: Flags

    @cached_property
    def words(self) -> Flags:
        """Words, and what stands between them, as Annex #29 has them."""
        return self._words | self.sentences

    @cached_property
    def sentences(self) -> Flags:
        """Sentences. They end with their line at the latest."""
        return self._sentences | self.lines

    @cached_property
    def lines(self) -> Flags:
        """Lines. Very long ones are cut."""
        lines = self._begins(_after_newlines(self._points))
        if np.diff(np.flatnonzero(np.append(lines, True))).max(initial=0) > LONGEST:
            _cut_long(lines, self._words | self._sentences)
        return lines

    @cached_property
    def _words(self) -> Flags:
        return self._begins(np.flatnonzero(word_boundaries(self._points))) | self._alone

    @cached_property
    def _sentences(self) -> Flags:
        ends = np.array([match.end() for match in _SENTENCE.finditer(self.cells.text)], np.intp)
        return self._begins(ends) | self._alone

    @cached_property
    def _points(self) -> Points:
        return points_of(self.cells.text)

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        """int[m]: where each cell's first character lies that is no white space; its first where all is white space."""
        ink = np.flatnonzero(_SPACES.of(self._points) == 0)
        starts = self.cells.starts[:-1]
        found = np.append(ink, len(self._points))[np.searchsorted(ink, starts)]
        return np.where(found < self.cells.starts[1:], found, starts)

    @property
    def _alone(self) -> Flags:
        return self.special | np.roll(self.special, 1)

    def _begins(self, boundaries: NDArray[np.intp]) -> Flags:
        """bool[m]: whether a boundary lies between each cell's place and that of the cell before."""
        segment = np.searchsorted(boundaries, self._places, side="right")
        found: Flags = np.diff(segment, prepend=-1) != 0
        return found


def wordy(cells: Cells, first: NDArray[np.integer], special: Flags) -> Flags:
    """bool[w]: whether each word (first: int[w], its first cell) has a letter or a digit and is no control token."""
    if not len(first):
        return np.zeros(0, bool)
    before = np.append(0, np.cumsum(_LETTERS.of(points_of(cells.text)), dtype=np.intp))
    starts = cells.starts[np.append(first, len(cells))]
    found: Flags = (np.diff(before[starts]) > 0) & ~special[first]
    return found


def matches(cells: Cells, pattern: str, seconds: float = TIME_LIMIT) -> list[tuple[int, int]]:
    """The cells (first, last + 1) that hold each match of a regular expression, in order and without overlap.

    A cell that two matches share belongs to the first. Raises InvalidPattern for a pattern that is none or too long,
    or that takes longer than `seconds`.
    """
    if len(pattern) > _LONGEST_PATTERN:
        raise InvalidPattern(f"The pattern is longer than {_LONGEST_PATTERN} characters.", "Use a shorter one.")
    if _VERBOSE.search(pattern):  # white space and comments could hide a repeat
        raise InvalidPattern("The pattern switches verbose mode on.", "Leave out the x of (?x).")
    repeats = [max(1, *(int(each) for each in found.group(1, 2) if each)) for found in _REPEAT.finditer(pattern)]
    if math.prod(repeats) > _MOST_REPEATS:  # repeats are written out when a pattern is compiled, nested ones multiply
        raise InvalidPattern(
            f"The pattern repeats something {math.prod(repeats):,} times.",
            f"Let all {{…}} together ask for at most {_MOST_REPEATS:,}, or use * or +.",
        )
    try:
        compiled = regex.compile(pattern, regex.V1)
        found_all = compiled.finditer(cells.text, timeout=max(seconds, 1e-3), concurrent=True)
        spans = [match.span() for match in found_all]
    except regex.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        what = f"This is no regular expression: {error.msg}{where}."
        raise InvalidPattern(what, "Correct it and press Enter.") from error
    except (RecursionError, OverflowError, MemoryError) as error:
        raise InvalidPattern("The pattern is too large.", "Make it simpler.") from error
    except TimeoutError as error:
        raise InvalidPattern(
            f"The pattern took longer than {TIME_LIMIT * 1000:.0f} ms.", "Make it simpler, with fewer nested repeats."
        ) from error
    found: list[tuple[int, int]] = []
    done = 0
    for start, end in spans:
        first = max(int(np.searchsorted(cells.starts, start, side="right")) - 1, done)
        last = int(np.searchsorted(cells.starts, end, side="left"))
        if start < end and first < last:
            found.append((first, last))
            done = last
    return found


def matches_in(parts: tuple[Cells, ...], pattern: str) -> list[list[tuple[int, int]]]:
    """`matches` for each of several texts, which share the time. Raises InvalidPattern."""
    deadline = time.monotonic() + TIME_LIMIT
    return [matches(cells, pattern, deadline - time.monotonic()) for cells in parts]


def _after_newlines(points: Points) -> NDArray[np.intp]:
    """Where a line begins after another, as an offset into the text."""
    kinds = _NEWLINES.of(points)
    pairs = (kinds[:-1] == _RETURN) & (points[1:] == ord("\n"))  # one line break, not two
    ends: NDArray[np.intp] = np.flatnonzero(np.where(np.append(pairs, False), 0, kinds)) + 1
    return ends


def _cut_long(lines: Flags, words: Flags) -> None:
    """Let long lines begin anew, at a word where there is one near."""
    begins = np.append(np.flatnonzero(lines), len(lines))
    for start, end in pairwise(begins):
        while end - start > LONGEST:
            near = np.flatnonzero(words[start + LONGEST : min(start + _LATEST, end)])
            start += LONGEST + (near[0] if len(near) else _LATEST - LONGEST)
            if start < end:
                lines[start] = True


_SPACES = Classes(r"\s")
_VERBOSE = regex.compile(r"\(\?[A-Za-z0-9-]*x")
_REPEAT = regex.compile(r"\{(?=[\d,]*\d)(\d{0,9})\d*(?:,(\d{0,9})\d*)?\}")
_LETTERS = Classes(r"[\p{L}\p{N}\p{M}]")
_NEWLINES = Classes(r"\r", r"[\n\x0b\f\x85\u2028\u2029]")
_RETURN = 1  # the first of them
# A sentence ends after ! ? 。 and their like, or after a full stop that white space follows and no small letter, and
# with its line. What closes quotes and brackets, and white space, still belongs to it.
_SENTENCE = regex.compile(
    # A run of full stops is tried from its first one only, or each would be followed to the end of the run.
    r"(?:\p{SB=STerm}++\p{SB=Close}*+[^\S\n]*+|(?<!\p{SB=ATerm})\p{SB=ATerm}++\p{SB=Close}*+[^\S\n]+(?!\p{Ll}))\n*+"
    r"|[\n\u2028\u2029]\s*+"
)
