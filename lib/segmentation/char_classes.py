"""Character classes for whole texts at once, and helpers for hidden and unencodable characters."""

from __future__ import annotations

import re

import numpy as np
import regex
from numpy.typing import NDArray

Points = NDArray[np.uint32]

_PAGE = 256


def points_of(text: str) -> Points:
    """uint32[n]: the code points of a text, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


class Classes:
    """Character classes, each a set in `regex` syntax. A character belongs to the first class that contains it.

    Lookup tables are built per page of 256 code points, when a text first needs them.
    """

    def __init__(self, *sets: str) -> None:
        self._pattern = regex.compile("|".join(f"({each})" for each in sets))
        self._pages: dict[int, NDArray[np.uint8]] = {}

    def of(self, points: Points) -> NDArray[np.uint8]:
        """uint8[n]: the class of each code point, counted from 1; 0 for none."""
        if not len(points):
            return np.empty(0, np.uint8)
        if points.max() < _PAGE:
            return self._page(0)[points]
        numbers = points // _PAGE
        used = np.flatnonzero(np.bincount(numbers))  # faster than sorting
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
                page[match.start()] = match.lastindex
            self._pages[number] = page
        return self._pages[number]


_LONE = re.compile("[\ud800-\udfff]")

# Invisible characters, and blanks that look like a space or a line break. Format characters that are not ignorable are
# visible, except for annotations; two blanks are classified as symbols. words.js has the same rules.
BLANK = r"\p{Default_Ignorable_Code_Point}\p{Cc}\p{Zl}\p{Zp}\p{Zs}\uFFF9-\uFFFB\u2800\U0001D159"
_JOINING = (
    "Arabic Syriac Mandaic Nko Mongolian Phags_Pa Adlam Hanifi_Rohingya Devanagari Bengali Gurmukhi Gujarati Oriya "
    "Tamil Telugu Kannada Malayalam Sinhala Khmer Myanmar Tibetan Balinese Javanese Tai_Tham Meetei_Mayek Grantha Newa"
)
_LETTER = r"(?=[\p{L}\p{M}])[" + "".join(rf"\p{{Script_Extensions={name}}}" for name in _JOINING.split()) + "]"
_TAGS = "(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)"
# Invisible characters that affect the letter or emoji before them, each with that letter or emoji.
_AT_WORK = (
    r"\p{Extended_Pictographic}[\uFE0E\uFE0F]",
    r"[0-9#*]\uFE0F(?=\u20E3)",
    r"\p{Extended_Pictographic}[\uFE0E\uFE0F\p{Emoji_Modifier}]?\u200D(?=\p{Extended_Pictographic})",
    rf"{_LETTER}[\u200C\u200D]",
    r"\p{Script=Mongolian}[\u180B-\u180D\u180F]",
    f"\U0001f3f4(?=\U000e0067\U000e0062{_TAGS}\U000e007f)[\U000e0020-\U000e007f]{{1,6}}",
)
HIDDEN = regex.compile(f"(?![ \\t\\n\\r])[{BLANK}]" + "".join(f"(?<!{each})" for each in _AT_WORK))


def marked(text: str) -> str:
    """The text with hidden characters as code points, ‹U+200B›. Keeps spaces, tabs and line breaks."""
    shown: str = HIDDEN.sub(lambda found: f"‹U+{ord(found[0]):04X}›", text)
    return shown


def encodable(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, replaced by U+FFFD."""
    return _LONE.sub("\ufffd", text)


def plain(text: str) -> str:
    """A text that is safe for pages, files and databases: `encodable`, with NUL replaced by U+FFFD too."""
    return encodable(text).replace("\0", "\ufffd")
