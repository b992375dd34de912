"""Properties of characters by code point, for whole texts at once; and texts that everything takes."""

from __future__ import annotations

import re

import numpy as np
import regex
from numpy.typing import NDArray

Points = NDArray[np.uint32]

_PAGE = 256


def points_of(text: str) -> Points:
    """uint32[n]: the code points of a text; a lone surrogate stands for itself."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


class Classes:
    """Classes of characters, each a set in the notation of `regex`. A character belongs to the first that holds it.

    Looked up in pages of 256 code points, which are worked out when a text first needs them.
    """

    def __init__(self, *sets: str) -> None:
        self._pattern = regex.compile("|".join(f"({each})+" for each in sets))
        self._pages: dict[int, NDArray[np.uint8]] = {}

    def of(self, points: Points) -> NDArray[np.uint8]:
        """uint8[n]: 1 for the first class, 2 for the second, 0 for none."""
        if not len(points):
            return np.empty(0, np.uint8)
        if points.max() < _PAGE:
            return self._page(0)[points]
        numbers = points // _PAGE
        used = np.flatnonzero(np.bincount(numbers))  # quicker than a sort
        where = np.zeros(used[-1] + 1, np.intp)
        where[used] = np.arange(len(used))
        pages = np.stack([self._page(int(number)) for number in used])
        found: NDArray[np.uint8] = pages[where[numbers], points % _PAGE]
        return found

    def _page(self, number: int) -> NDArray[np.uint8]:
        if number not in self._pages:
            page = np.zeros(_PAGE, np.uint8)
            letters = "".join(map(chr, range(number * _PAGE, (number + 1) * _PAGE)))
            for match in self._pattern.finditer(letters):
                page[match.start() : match.end()] = match.lastindex
            self._pages[number] = page
        return self._pages[number]


_LONE = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which UTF-8 has no bytes for."""
    return _LONE.sub("\ufffd", text)


def plain(text: str) -> str:
    """A text that every page, file and database takes: `encodable`, and with U+FFFD for NUL."""
    return encodable(text).replace("\0", "\ufffd")
