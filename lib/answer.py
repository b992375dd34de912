"""Reading an answer as it grows: which tokens are reasoning, where a stop string ends it, and what its text is.

Tokens are held back while they might still turn out to be the beginning of a stop string or of a `<think>` marker, so
that nothing released ever has to be taken back.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lib.tokens import Kind

OPEN, CLOSE = b"<think>", b"</think>"
_MOST_HELD = 100  # tokens without a letter after which no reasoning opens any more
_OPENED = re.compile(r"<think>\s*\Z")


@dataclass(frozen=True)
class Released:
    """Tokens whose kind is settled: for each its number in order of arrival and its kind; and their text."""

    tokens: tuple[tuple[int, Kind], ...] = ()
    text: str = ""
    stopped: bool = False


class AnswerReader:
    """Follows one answer token by token.

    stops: stop strings; the answer ends before the first of them to be complete, however it is cut into tokens.
    prompt: the rendered prompt; where a chat template has already opened a `<think>` block, the answer begins inside
    it. Reasoning can only open at the very start. Special tokens are no part of the text, unless they are its markers.
    """

    def __init__(self, stops: Sequence[str] = (), prompt: str = "", *, thinking: str | None = None) -> None:
        """thinking: where an answer is read from somewhere in its middle, the `thinking` of the reader up to there."""
        self._stops = [stop.encode() for stop in stops]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held: list[tuple[int, bytes, Kind]] = []
        self._count = 0
        self._thinking = thinking or ("open" if _OPENED.search(prompt) else "start")
        self._tail = b""  # the last bytes read while thinking, in search of the closing marker

    @property
    def thinking(self) -> str:
        """Where it is: "start" while reasoning may still open, "open" in the midst of it, "over" after it."""
        return self._thinking

    def push(self, piece: bytes, special: bool = False) -> Released:
        """Take the next token's bytes and release what is settled."""
        self._held.append((self._count, piece, Kind.SPECIAL if special else Kind.TEXT))
        self._count += 1
        self._follow_reasoning(piece)
        undecided = self._thinking == "start" and self._may_open()
        pending = b"".join(_visible(blob, kind) for _, blob, kind in self._held)
        complete = [(place + len(stop), place) for stop in self._stops if (place := pending.find(stop)) >= 0]
        if complete:
            return self._cut(min(complete)[1])
        if undecided:
            return Released()
        return self._release(len(pending) - _longest_beginning(pending, self._stops))

    def begin(self, pieces: Sequence[tuple[bytes, bool]]) -> str:
        """Read the tokens that an answer was given to begin with: (bytes, special) of each; returns their text.

        No stop string ends an answer there, and nothing is held back. Comes before anything is pushed.
        """
        stops, self._stops = self._stops, []
        text = "".join(self.push(piece, special).text for piece, special in pieces)
        text += self._release(None).text
        self._stops, self._count = stops, 0
        return text

    def end(self) -> Released:
        """No more tokens come: release everything."""
        released = self._release(None)
        return Released(released.tokens, released.text + self._decoder.decode(b"", True))

    def _may_open(self) -> bool:
        """Whether what is held could still become the opening marker; once it cannot, the answer has begun."""
        seen = b"".join(blob for _, blob, _ in self._held).lstrip()
        if seen.startswith(OPEN):
            self._held = [(number, blob, _while_thinking(blob, kind)) for number, blob, kind in self._held]
            self._thinking = "open"
            self._tail = seen[len(OPEN) :]
            self._close_if_over()
            return False
        if OPEN.startswith(seen) and len(self._held) < _MOST_HELD:
            return True
        self._thinking = "over"
        return False

    def _follow_reasoning(self, piece: bytes) -> None:
        if self._thinking == "open":
            number, blob, kind = self._held[-1]
            self._held[-1] = (number, blob, _while_thinking(blob, kind))
            self._tail += piece
            self._close_if_over()

    def _close_if_over(self) -> None:
        if CLOSE in self._tail:
            self._thinking = "over"
        self._tail = self._tail[-len(CLOSE) :]

    def _release(self, settled: int | None) -> Released:
        """Release the leading held tokens that lie within the first `settled` visible bytes; None for all."""
        out: list[tuple[int, Kind]] = []
        text = b""
        while self._held:
            number, blob, kind = self._held[0]
            shown = _visible(blob, kind)
            if settled is not None and len(text) + len(shown) > settled:
                break
            text += shown
            out.append((number, kind))
            del self._held[0]
        return Released(tuple(out), self._decoder.decode(text))

    def _cut(self, place: int) -> Released:
        """End the answer at that visible byte. A token that begins before it keeps its kind, the others are stops."""
        out: list[tuple[int, Kind]] = []
        text, position = b"", 0
        for number, blob, kind in self._held:
            shown = _visible(blob, kind)
            out.append((number, kind if position < place else Kind.STOP))
            text += shown[: max(place - position, 0)]
            position += len(shown)
        self._held.clear()
        return Released(tuple(out), self._decoder.decode(text, True), stopped=True)


def _while_thinking(blob: bytes, kind: Kind) -> Kind:
    """The kind of a token read inside a `<think>` block. In some vocabularies the markers are special tokens."""
    return kind if kind is Kind.SPECIAL and blob.strip() not in (OPEN, CLOSE) else Kind.REASONING


def _visible(blob: bytes, kind: Kind) -> bytes:
    return b"" if kind is Kind.SPECIAL else blob


def _longest_beginning(text: bytes, stops: Sequence[bytes]) -> int:
    """Length of the longest end of `text` that could be the beginning of a stop string."""
    longest = 0
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), longest, -1):
            if text.endswith(stop[:length]):
                longest = length
                break
    return longest
