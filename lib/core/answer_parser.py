"""Streaming parser of answers: separates reasoning from text and ends the answer at a stop string.

Tokens are held back while they could still become a stop string or a `<think>` marker, so a released token never has to
be retracted. Reasoning takes one of three forms: between `<think>` and `</think>` (or `[THINK]` and `[/THINK]`), in a
channel of GPT-OSS's Harmony format, or before a `</think>` whose opening marker is in the chat template. The last is
only recognized once the answer is complete (`without_opening`).
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
_MOST_HELD = 100  # blank tokens after which reasoning can no longer open
_OPENED = re.compile(f"(?:{'|'.join(re.escape(each.decode()) for each in MARKERS)})\\s*\\Z")
# Harmony: <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>
_CHANNEL, _MESSAGE, _START = b"<|channel|>", b"<|message|>", b"<|start|>"
_ENDS = (b"<|end|>", b"<|return|>", b"<|call|>")
_ANSWER_CHANNEL = "final"
_LONGEST_HEADER = 200  # characters


@dataclass(frozen=True)
class Settled:
    """Tokens whose kind is final, and their text."""

    tokens: tuple[tuple[int, TokenKind], ...] = ()  # (index in order of arrival, kind)
    text: str = ""  # their visible text
    stopped: bool = False  # whether a stop string ended the answer


class AnswerParser:
    """Parses one answer token by token.

    Reasoning can only open at the very start. Special tokens are not part of the text.
    """

    def __init__(self, stops: Sequence[str] = (), prompt: str = "", *, thinking: str | None = None) -> None:
        """Start an answer.

        stops: stop strings. The answer ends before the first one to be completed, however it is tokenized.
        prompt: the rendered prompt. If its chat template already opened a `<think>` block, the answer starts inside it.
        thinking: to resume in the middle of an answer, the `thinking` of the parser that read up to there.
        """
        self._stops = [stop.encode() for stop in stops]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held: list[tuple[int, bytes, TokenKind]] = []
        self._count = 0
        self._thinking = thinking or _initial_state(prompt)
        self._tail = b""  # last bytes of the reasoning, to find a closing marker that spans tokens

    @property
    def thinking(self) -> str:
        """The parser's state: "start" while reasoning may still open, "open" inside it, "over" after it.

        In the Harmony format, "header:" followed by the header so far, or "open:" or "over:" inside a message.
        """
        return self._thinking

    def push(self, piece: bytes, special: bool = False) -> Settled:
        """Take the next token's bytes and release the tokens that are settled."""
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
        return self._release(len(pending) - _partial_stop_length(pending, self._stops))

    def begin(self, pieces: Sequence[tuple[bytes, bool]]) -> str:
        """Read the tokens the answer is forced to start with, before any `push`. Returns their text.

        Stop strings do not end the answer there, and nothing is held back.

        pieces: (bytes, special) of each token.
        """
        stops, self._stops = self._stops, []
        text = "".join(self.push(piece, special).text for piece, special in pieces)
        text += self._release(None).text
        self._stops, self._count = stops, 0
        return text

    def end(self) -> Settled:
        """End the answer: release everything."""
        released = self._release(None)
        return Settled(released.tokens, released.text + self._decoder.decode(b"", True))

    def _may_open(self) -> bool:
        """Whether the held tokens could still become an opening marker; otherwise the answer has started."""
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
        """Set the newest token's kind if the answer is in the Harmony format. Returns whether it is."""
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
        # Markers, and the role and channel names between them, are not part of the answer.
        self._held[-1] = (number, blob, TokenKind.SPECIAL)
        return True

    def _release(self, settled: int | None) -> Settled:
        """Release the held tokens within the first `settled` visible bytes; None for all of them."""
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
        """End the answer at a visible byte. Tokens that start before it keep their kind, the others become STOP."""
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
    """The kind of a token inside a `<think>` block. In some vocabularies the markers are special tokens."""
    return kind if kind is TokenKind.SPECIAL and blob.strip() not in (*MARKERS, *_CLOSING) else TokenKind.REASONING


def _initial_state(prompt: str) -> str:
    """The state in which an answer to this prompt starts."""
    if _OPENED.search(prompt):
        return "open"
    _, channel, rest = prompt.rpartition(_CHANNEL.decode())
    header, message, started = rest.partition(_MESSAGE.decode())
    if channel and message and not any(end.decode() in started for end in (*_ENDS, _START)):
        return "over:" if header.split()[:1] in ([], [_ANSWER_CHANNEL]) else "open:"
    return "start"


def has_reasoning(text: str) -> bool:
    """Whether a text contains a reasoning marker of any form."""
    return _CHANNEL.decode() in text or any(each.decode() in text for each in (*MARKERS, *_CLOSING))


def without_opening(tokens: Tokens) -> Tokens:
    """Mark the tokens of a complete answer up to an unopened closing marker as reasoning.

    The opening marker may be part of the chat template, and then only the prompt shows it.
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


def _partial_stop_length(text: bytes, stops: Sequence[bytes]) -> int:
    """Length of the longest suffix of `text` that is a proper prefix of a stop string."""
    longest = 0
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), longest, -1):
            if text.endswith(stop[:length]):
                longest = length
                break
    return longest
