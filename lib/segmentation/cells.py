"""Group tokens into cells, the smallest units a reader can tell apart.

A token may contain a fragment of a character, and a grapheme cluster (e with its accent, a family emoji) may span
several tokens. A cell is the smallest run of whole tokens that ends at a grapheme boundary, or before an invisible
character that has no effect on its grapheme. A special token is always a separate cell. No byte is lost: `text` encoded
with "surrogateescape" is exactly the bytes of the tokens, invalid UTF-8 included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

from lib.core.pieces import Ints, Pieces, gather, offsets_of
from lib.segmentation.char_classes import BLANK, HIDDEN, Classes, points_of


@dataclass(frozen=True, eq=False)
class Cells:
    """`m` cells over `n` tokens."""

    first: Ints  # int32[m + 1], the tokens of cell i are first[i] to first[i + 1] - 1
    text: str  # the text of all cells; invalid bytes are lone surrogates
    starts: Ints  # int32[m + 1], character offsets of the cells in `text`
    broken: NDArray[np.bool_]  # bool[m], whether the cell has invalid bytes

    def __len__(self) -> int:
        return len(self.first) - 1

    def text_of(self, cell: int) -> str:
        r"""The text to show for a cell, with invalid bytes as ``\xNN``."""
        raw = self.text[self.starts[cell] : self.starts[cell + 1]]
        return raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") if self.broken[cell] else raw


def readable(text: str) -> str:
    """A part of `Cells.text` that can be shown: invalid bytes as U+FFFD, several of them possibly as one."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def split(pieces: Pieces, refs: Ints) -> Cells:
    """Split the tokens `refs` into cells. A ref of -1 is a token without bytes."""
    known = np.maximum(refs, 0)
    missing = refs < 0
    starts = pieces.offsets[known] if len(pieces) else np.zeros(len(refs), np.int32)
    lengths = (pieces.offsets[known + 1] - starts) if len(pieces) else np.zeros(len(refs), np.int32)
    if missing.any():
        lengths = np.where(missing, 0, lengths)
    data = gather(pieces.data, starts, lengths)
    token_bytes = offsets_of(lengths)
    text = data.tobytes().decode("utf-8", "surrogateescape")

    if len(text) == len(data) and text.isascii():
        token_chars = token_bytes
        ends_here = np.ones(len(refs) + 1, bool)
        points: NDArray[Any] = data
    else:
        points = points_of(text)
        # A lone surrogate is one invalid byte; any other code point has its UTF-8 length.
        sizes = 1 + (points >= 0x80) + (points >= 0x800).astype(np.int8) + (points >= 0x10000)
        escaped = (points >= 0xDC80) & (points <= 0xDCFF)
        char_bytes = offsets_of(np.where(escaped, 1, sizes))
        # The character that starts at or after each byte. A cell can only end where a character starts.
        begins = np.zeros(len(data) + 1, bool)
        begins[char_bytes] = True
        token_chars = (np.cumsum(begins, dtype=np.int32) - begins)[token_bytes]
        ends_here = begins[token_bytes]
    ends_here &= ~_inside_grapheme(text, points)[token_chars]
    if len(pieces) and pieces.special.any():
        special = np.append(np.where(missing, False, pieces.special[known]), False)
        ends_here |= special | np.roll(special, 1)
    ends_here[0] = ends_here[-1] = True

    first = np.flatnonzero(ends_here).astype(np.int32)
    cell_starts = token_chars[first]
    return Cells(first, text, cell_starts, _broken(points, cell_starts))


def _broken(points: NDArray[Any], starts: Ints) -> NDArray[np.bool_]:
    if points.dtype == np.uint8:
        return np.zeros(len(starts) - 1, bool)
    escaped = np.append(0, np.cumsum((points >= 0xDC80) & (points <= 0xDCFF)))
    return np.diff(escaped[starts]) > 0


def _inside_grapheme(text: str, points: NDArray[Any]) -> NDArray[np.bool_]:
    """bool[len(text) + 1]: whether a position is inside a grapheme cluster (UAX #29), except before a hidden part.

    Segments only the surroundings of characters that can join a cluster. Most texts have none.
    """
    inside = np.zeros(len(points) + 1, bool)
    kinds = np.zeros(len(points), np.uint8) if points.dtype == np.uint8 else _JOINERS.of(points)
    joining = kinds > 0
    joining[1:] |= (points[1:] == 0x0A) & (points[:-1] == 0x0D)
    for start, end in _neighbourhoods(joining):
        for match in _GRAPHEME.finditer(text, start, end):
            inside[match.start() + 1 : match.end()] = True
    for start, end in _neighbourhoods(kinds == _SHOWS_NOTHING):
        for match in HIDDEN.finditer(text, start, end):
            inside[match.start()] = False
    return inside


def _neighbourhoods(joining: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, end) of runs of joining characters, widened by one character on each side, overlaps merged."""
    if not joining.any():
        return []
    near = joining.copy()
    near[:-1] |= joining[1:]
    near[1:] |= joining[:-1]
    edges = np.flatnonzero(np.diff(near.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


_GRAPHEME = regex.compile(r"\X")

# Characters that can join a cluster: first the invisible ones, then all others, including those that bind the next one.
_SHOWS_NOTHING = 1
_JOINERS = Classes(
    rf"(?=[{BLANK}])[\p{{GCB=Extend}}\p{{GCB=ZWJ}}\p{{GCB=L}}\p{{GCB=V}}]",
    r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}\p{GCB=L}\p{GCB=V}\p{GCB=T}\p{RI}]",
)
