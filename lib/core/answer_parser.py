"""Reading an answer as it grows: which tokens are reasoning, where a stop string ends it, and what its text is.

Tokens are held back while they might still turn out to be the beginning of a stop string or of a `<think>` marker, so
that nothing released ever has to be taken back. Reasoning takes one of three forms: between `<think>` and `</think>`
(or `[THINK]` and `[/THINK]`), in a channel of GPT-OSS's Harmony format, or before a `</think>` that a chat template
opened; the last is known only once the answer is over (`without_opening`).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.core.tokens import TokenKind, Tokens

MARKERS = {
    b"<think>": b"</think>",
    b"[THINK]": b"[/THINK]",
    b"<thinking>": b"</thinking>",
    b"<thought>": b"</thought>",
    b"<seed:think>": b"</seed:think>",
    "◁think▷".encode(): "◁/think▷".encode(),
    b"<|START_THINKING|>": b"<|END_THINKING|>",
    b"<|begin_of_thought|>": b"<|end_of_thought|>",
}
_CLOSING = tuple(MARKERS.values())
_LONGEST = max(map(len, _CLOSING))
_MOST_HELD = 100  # tokens without a letter after which no reasoning opens any more
_OPENED = re.compile(f"(?:{'|'.join(re.escape(each.decode()) for each in MARKERS)})\\s*\\Z")
# Harmony: <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>
_CHANNEL, _MESSAGE, _START = b"<|channel|>", b"<|message|>", b"<|start|>"
_ENDS = (b"<|end|>", b"<|return|>", b"<|call|>")
_ANSWER_CHANNEL = "final"
_LONGEST_HEADER = 200  # characters


@dataclass(frozen=True)
class Settled:
    """Tokens whose kind is settled: for each its number in order of arrival and its kind; and their text."""

    tokens: tuple[tuple[int, TokenKind], ...] = ()
    text: str = ""
    stopped: bool = False


class AnswerParser:
    """Follows one answer token by token.

    stops: stop strings; the answer ends before the first of them to be complete, however it is cut into tokens.
    prompt: the rendered prompt; where a chat template has already opened a `<think>` block, the answer begins inside
    it. Reasoning can only open at the very start. Special tokens are no part of the text, unless they are its markers.
    """

    def __init__(self, stops: Sequence[str] = (), prompt: str = "", *, thinking: str | None = None) -> None:
        """thinking: where an answer is read from somewhere in its middle, the `thinking` of the reader up to there."""
        self._stops = [stop.encode() for stop in stops]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held: list[tuple[int, bytes, TokenKind]] = []
        self._count = 0
        self._thinking = thinking or _begins(prompt)
        self._tail = b""  # the last bytes read while thinking, in search of the closing marker

    @property
    def thinking(self) -> str:
        """Where it is: "start" while reasoning may still open, "open" in the midst of it, "over" after it.

        In the Harmony format "header:" with what has been read of a header, "open:" or "over:" in a message.
        """
        return self._thinking

    def push(self, piece: bytes, special: bool = False) -> Settled:
        """Take the next token's bytes and release what is settled."""
        self._held.append((self._count, piece, TokenKind.SPECIAL if special else TokenKind.TEXT))
        self._count += 1
        if not self._follow_harmony(piece):
            self._follow_reasoning(piece)
        undecided = self._thinking == "start" and self._may_open()
        pending = b"".join(_visible(blob, kind) for _, blob, kind in self._held)
        complete = [(place + len(stop), place) for stop in self._stops if (place := pending.find(stop)) >= 0]
        if complete:
            return self._cut(min(complete)[1])
        if undecided:
            return Settled()
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

    def end(self) -> Settled:
        """No more tokens come: release everything."""
        released = self._release(None)
        return Settled(released.tokens, released.text + self._decoder.decode(b"", True))

    def _may_open(self) -> bool:
        """Whether what is held could still become the opening marker; once it cannot, the answer has begun."""
        seen = b"".join(blob for _, blob, _ in self._held).lstrip()
        if opening := next((each for each in MARKERS if seen.startswith(each)), None):
            self._held = [(number, blob, _while_thinking(blob, kind)) for number, blob, kind in self._held]
            self._thinking = "open"
            self._tail = seen[len(opening) :]
            self._close_if_over()
            return False
        if any(each.startswith(seen) for each in MARKERS) and len(self._held) < _MOST_HELD:
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
        if any(each in self._tail for each in _CLOSING):
            self._thinking = "over"
        self._tail = self._tail[-_LONGEST:]

    def _follow_harmony(self, piece: bytes) -> bool:
        """Give the newest token its kind where the answer is in the Harmony format; False where it is not."""
        number, blob, kind = self._held[-1]
        state, _, header = self._thinking.partition(":")
        if piece in (_CHANNEL, _START) and (":" in self._thinking or self._thinking == "start"):
            self._thinking = "header:" + (piece.decode() if piece == _CHANNEL else "")
        elif ":" not in self._thinking:
            return False
        elif state == "header" and piece == _MESSAGE:
            channel = header.removeprefix(_CHANNEL.decode()).split()
            self._thinking = "over:" if channel[:1] in ([], [_ANSWER_CHANNEL]) else "open:"
        elif state == "header":
            self._thinking = (self._thinking + piece.decode("utf-8", "replace"))[:_LONGEST_HEADER]
        elif piece in _ENDS:
            self._thinking = "header:"
        else:
            self._held[-1] = (number, blob, TokenKind.REASONING if state == "open" and kind is TokenKind.TEXT else kind)
            return True
        # Markers, and the words between them that name a role or a channel, belong to no answer.
        self._held[-1] = (number, blob, TokenKind.SPECIAL)
        return True

    def _release(self, settled: int | None) -> Settled:
        """Release the leading held tokens that lie within the first `settled` visible bytes; None for all."""
        out: list[tuple[int, TokenKind]] = []
        text = b""
        while self._held:
            number, blob, kind = self._held[0]
            shown = _visible(blob, kind)
            if settled is not None and len(text) + len(shown) > settled:
                break
            text += shown
            out.append((number, kind))
            del self._held[0]
        return Settled(tuple(out), self._decoder.decode(text))

    def _cut(self, place: int) -> Settled:
        """End the answer at that visible byte. A token that begins before it keeps its kind, the others are stops."""
        out: list[tuple[int, TokenKind]] = []
        text, position = b"", 0
        for number, blob, kind in self._held:
            shown = _visible(blob, kind)
            out.append((number, kind if position < place else TokenKind.STOP))
            text += shown[: max(place - position, 0)]
            position += len(shown)
        self._held.clear()
        return Settled(tuple(out), self._decoder.decode(text, True), stopped=True)


def _while_thinking(blob: bytes, kind: TokenKind) -> TokenKind:
    """The kind of a token read inside a `<think>` block. In some vocabularies the markers are special tokens."""
    return kind if kind is TokenKind.SPECIAL and blob.strip() not in (*MARKERS, *_CLOSING) else TokenKind.REASONING


def _begins(prompt: str) -> str:
    """Where an answer to this prompt begins."""
    if _OPENED.search(prompt):
        return "open"
    _, channel, rest = prompt.rpartition(_CHANNEL.decode())
    header, message, begun = rest.partition(_MESSAGE.decode())
    if channel and message and not any(end.decode() in begun for end in (*_ENDS, _START)):
        return "over:" if header.split()[:1] in ([], [_ANSWER_CHANNEL]) else "open:"
    return "start"


def has_reasoning(text: str) -> bool:
    """Whether a text contains a marker of reasoning, of any of its forms."""
    return _CHANNEL.decode() in text or any(each.decode() in text for each in (*MARKERS, *_CLOSING))


def without_opening(tokens: Tokens) -> Tokens:
    """The tokens of a whole answer, those up to a closing marker that nothing opened told apart as reasoning.

    A chat template may open the block, and then only the prompt shows that.
    """
    if not len(tokens) or (tokens.kinds == TokenKind.REASONING).any():
        return tokens
    shown = [
        tokens.pieces.bytes_of(ref) if kind != TokenKind.STOP and ref >= 0 else b""
        for ref, kind in zip(tokens.refs.tolist(), tokens.kinds.tolist(), strict=True)
    ]
    data = b"".join(shown)
    ends = [place + len(each) for each in _CLOSING if (place := data.find(each)) >= 0]
    if not ends:
        return tokens
    kinds = tokens.kinds.copy()
    inside = np.cumsum([0, *map(len, shown)])[:-1] < min(ends)
    marks = np.array([blob.strip() in _CLOSING for blob in shown])
    kinds[inside & ((kinds == TokenKind.TEXT) | marks)] = TokenKind.REASONING
    return tokens.with_kinds(kinds)


def _visible(blob: bytes, kind: TokenKind) -> bytes:
    return b"" if kind is TokenKind.SPECIAL else blob


def _longest_beginning(text: bytes, stops: Sequence[bytes]) -> int:
    """Length of the longest end of `text` that could be the beginning of a stop string."""
    longest = 0
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), longest, -1):
            if text.endswith(stop[:length]):
                longest = length
                break
    return longest
