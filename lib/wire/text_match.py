"""Match tokens with a text: which of them spell it, and what they spell after it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lib.core.answer_parser import MARKERS

LOST = "\N{REPLACEMENT CHARACTER}"  # shown for a part of a character
_STRETCH = 512  # bytes
_MOST_WORDS = 5_000
_MOST_PLACES = 64  # in a text that are followed at once
_HEADER = 8  # tokens
_ASCII = re.compile(r"[\x00-\x7f]")
_PARTS = re.compile(f"({LOST}+)")


class Spelling:
    """The text that the tokens of an answer spell.

    Strings that have lost the bytes of parts of characters spell nothing. An answer with such strings is matched from
    one whole token to the next.
    """

    def __init__(self, shown: Sequence[bytes]) -> None:
        """shown: the bytes of every token that are in the answer's text; empty for a token it leaves out."""
        self._shown = shown
        self._starts, self.text = _starts(shown)
        self._lossy = any(LOST.encode() in blob for blob in shown)

    def held(self, text: str, first: int) -> tuple[int, str] | None:
        """(first token after the text, the text spelled after it) if the text begins with token `first`, else None.

        White space at its ends may have been trimmed, and SentencePiece omits a space at the front.
        """
        if self._lossy:
            return self._followed(text, first)
        base = int(self._starts[first]) if first < len(self._shown) else len(self.text)
        for each in (text, text.rstrip(LOST)):  # a part of a character may be shown as one mark or several
            place = self._place(each, base)
            if place is None:
                continue
            end = place + len(each)
            left = self.text[end:]
            if each != text and left.strip(LOST):
                continue
            last = len(self._shown) if left and not left.strip(LOST) else int(np.searchsorted(self._starts, end))
            return max(first, last), left
        return None

    def _place(self, text: str, base: int) -> int | None:
        blank = len(self.text) - base - len(self.text[base:].lstrip()) if self.text[base : base + 1].isspace() else 0
        own = len(text) - len(text.lstrip())
        leads = dict.fromkeys((0, min(blank, 1), max(blank - own, 0), blank))
        return next((base + lead for lead in leads if self.text.startswith(text, base + lead)), None)

    def _followed(self, text: str, first: int) -> tuple[int, str] | None:
        places, marks = [0], 0  # places in the text reached so far, and parts of characters since
        for number in range(first, len(self._shown)):
            for part in filter(None, _PARTS.split(self._shown[number].decode("utf-8", "replace"))):
                if part[0] == LOST:
                    marks += len(part)
                    continue
                after = sorted({end for place in places for end in _after(text, place, part, marks)})
                if not after:
                    return self._ended(text, places, number, part, marks)
                places, marks = after[:_MOST_PLACES], 0
        return (len(self._shown), "") if any(_may_be_lost(text[place:], marks) for place in places) else None

    def _ended(self, text: str, places: Sequence[int], number: int, part: str, marks: int) -> tuple[int, str] | None:
        """The result of `held` if the text ends within this token, or None if it doesn't match."""
        for place in places:
            rest = text[place:]
            if marks and _may_be_lost(rest, marks):
                return number, self._from(number, 0)
            if not marks and part.startswith(rest):
                return number + bool(rest), self._from(number, len(rest))
        return None

    def _from(self, number: int, offset: int) -> str:
        """What the tokens spell from a character of a token on."""
        return b"".join(self._shown[number:]).decode("utf-8", "replace")[offset:]

    def begins(self, text: str) -> bool:
        """Whether the text begins with what the tokens spell."""
        return bool(self.text.strip()) and text.startswith((self.text, self.text.lstrip()))

    def end_of(self, part: str) -> int | None:
        """The first token after this part of the answer; None if the tokens don't spell it. White space may differ."""
        part = part.strip()
        if self._lossy:
            starts = [0, *(place for place in range(1, min(_HEADER, len(self._shown))) if self._opens(place))]
            found = (self._followed(part, first) for first in starts)
            return next((each[0] for each in found if each is not None), None)
        place = self.text.find(part)
        end = place + len(part)
        if place < 0:
            words = part.split()
            match = re.search(r"\s+".join(map(re.escape, words)), self.text) if len(words) <= _MOST_WORDS else None
            if match is None:
                return None
            end = match.end()
        return int(np.searchsorted(self._starts, end))

    def _opens(self, place: int) -> bool:
        return b"".join(self._shown[:place]).strip() in MARKERS

    def without_closing(self, first: int) -> int:
        """The first token after a closing marker of reasoning that may begin here, else the same token."""
        for last in range(first + 1, min(first + _HEADER, len(self._shown)) + 1):
            if b"".join(self._shown[first:last]).strip() in MARKERS.values():
                return last
        return first

    def last_of(self, text: str) -> int | None:
        """The first token of the text's last occurrence; None if the tokens don't spell it."""
        place = self.text.rfind(text)
        return None if place < 0 else int(np.searchsorted(self._starts, place))

    def after_headers(self) -> list[int]:
        """The tokens that follow a marker near the front that has text before it, such as a role."""
        hidden = [place for place in range(min(_HEADER, len(self._shown))) if not self._shown[place]]
        return [place + 1 for place in hidden if any(self._shown[:place])]


def _after(text: str, place: int, part: str, marks: int) -> Iterator[int]:
    """The places where the text may continue after a whole part that follows `marks` parts of characters."""
    if not marks:
        if text.startswith(part, place):
            yield place + len(part)
        elif place == 0 and text.startswith(trimmed := part.lstrip()):
            yield len(trimmed)
        return
    # A character takes at least one mark, and is never an ASCII one.
    ascii_at = _ASCII.search(text, place, place + marks)
    last = ascii_at.start() if ascii_at else place + marks
    found = text.find(part, place + 1, last + len(part))
    for _ in range(_MOST_PLACES):
        if found < 0:
            return
        yield found + len(part)
        found = text.find(part, found + 1, last + len(part))


def _may_be_lost(text: str, marks: int) -> bool:
    """Whether this many marks for parts of characters may replace the text."""
    return len(text) <= marks and _ASCII.search(text) is None


def _starts(shown: Sequence[bytes]) -> tuple[NDArray[np.int64], str]:
    """(number of the character each token begins in, the text that all tokens spell)."""
    data = b"".join(shown)
    begins = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
    for start, end in broken_spans(data):
        begins[start:end] = False
        begins[start] = True  # bytes that aren't a character are shown as one
    numbers = np.append(np.cumsum(begins) - 1, begins.sum())
    offsets = np.cumsum([0, *map(len, shown)])[:-1]
    return numbers[offsets].astype(np.int64), data.decode("utf-8", "replace")


def broken_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of each span of bytes that decodes to one U+FFFD."""
    place = 0
    while place < len(data):
        # In short stretches, because an error copies the bytes it was found in.
        end = place + _STRETCH
        try:
            place += codecs.utf_8_decode(data[place:end], "strict", end >= len(data))[1]
        except UnicodeDecodeError as error:
            yield place + error.start, place + error.end
            place += error.end
