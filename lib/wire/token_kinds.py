"""Classify the tokens of a prompt or an answer, by the text of the response."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from lib.core.answer_parser import MARKERS, AnswerParser
from lib.core.pieces import Ints, Pieces
from lib.core.tokens import TokenKind
from lib.wire.text_match import LOST, Spelling

# How vocabularies write markers that no text contains: <|eot_id|>, <｜User｜>, <s>, [INST], <start_of_turn>.
_MARKER = re.compile(
    rb"<\|[^<>|\s]{1,64}\|>|<\xef\xbd\x9c[^<>\s]{1,64}\xef\xbd\x9c>|</?s>|\[/?[A-Z_]{3,32}\]"
    rb"|<(?:bos|eos|pad|unk|mask|(?:start|end)_of_\w{1,32})>"
)
_MARKERS = re.compile(_MARKER.pattern.decode())
_LONGEST_PART = 4  # characters shown for parts of a single one
_MOST_OF_STOP, _LONGEST_STOP = 3, 40  # tokens and characters of an unknown stop string
_OPENING = np.frombuffer(b"<[", np.uint8)  # the first byte of every marker
_REASONING = frozenset({*MARKERS, *MARKERS.values()})
_IMAGES = frozenset({b"<|image|>", b"<|image_pad|>", b"<image>", b"[IMG]", b"<|video_pad|>"})


def prompt_kinds(pieces: Pieces, refs: Ints, *, by_looks: bool = False) -> NDArray[np.uint8]:
    """uint8[n] of `TokenKind`: special tokens, placeholders of images, and text.

    by_looks: whether to classify what looks like a marker as special, for lack of a vocabulary.
    """
    by_row = np.append(np.where(pieces.special, TokenKind.SPECIAL, TokenKind.TEXT), TokenKind.TEXT).astype(np.uint8)
    for row in np.flatnonzero(pieces.special).tolist():
        if pieces.bytes_of(row) in _IMAGES:
            by_row[row] = TokenKind.IMAGE
    if by_looks:
        starts = pieces.offsets[:-1][np.diff(pieces.offsets) > 0]
        rows = np.flatnonzero(np.diff(pieces.offsets) > 0)[np.isin(pieces.data[starts], _OPENING)]
        marked = [row for row in rows.tolist() if looks_like_marker(pieces.bytes_of(row))]
        by_row[marked] = [TokenKind.IMAGE if pieces.bytes_of(row) in _IMAGES else TokenKind.SPECIAL for row in marked]
    return by_row[refs]


def looks_like_marker(blob: bytes) -> bool:
    """Whether a token's bytes look like a special token's. The markers of reasoning count as text."""
    return _MARKER.fullmatch(blob) is not None and blob not in _REASONING


class Fit(Enum):
    """How the tokens of an answer fit its text."""

    SPELLS = "spells"
    LONGER = "longer"  # the tokens continue after the text
    SHORTER = "shorter"  # the text continues after the tokens
    DIFFERS = "differs"


@dataclass(frozen=True)
class Shape:
    """What is known about an answer besides its tokens."""

    text: str  # as returned
    stopped: bool  # whether the model ended it, so that a stop token or stop string may follow the text
    reasoning: str = ""  # as in `Answer`
    tools: bool = False  # as in `Answer`
    prompt: str = ""  # the text the model read, which may have opened a `<think>` block
    thinking: str | None = None  # as in `AnswerParser`
    stops: tuple[str, ...] | None = None  # the stop strings of the request; None if not known


def answer_kinds(pieces: Sequence[tuple[bytes, bool]], shape: Shape) -> tuple[NDArray[np.uint8], Fit]:
    """(uint8[n] of `TokenKind`, how the tokens fit the text).

    Some services leave special tokens out of the text and some don't, so both are tried. Without a tokenizer, tokens
    that look like markers are also tried as special tokens.

    pieces: the bytes of every token, and whether it is special.
    """
    tried: list[tuple[NDArray[np.uint8], Fit]] = []
    for special, hidden in _ways([blob for blob, _ in pieces], [special for _, special in pieces]):
        marked = [(blob, flag) for (blob, _), flag in zip(pieces, special, strict=True)]
        found = _kinds(marked, hidden, shape)
        if found[1] is Fit.SPELLS:
            return found
        tried.append(found)
    # If every way fails, the closest fit is the most informative.
    return min(tried, key=lambda each: list(Fit).index(each[1]))


def _ways(blobs: Sequence[bytes], special: list[bool]) -> Iterator[tuple[list[bool], bool]]:
    """(which tokens are special, whether they are left out of the text), the most likely way first."""
    yield special, True
    if any(special):
        yield special, False
    elif any(looks := [looks_like_marker(blob) for blob in blobs]):
        yield looks, True


def _kinds(pieces: Sequence[tuple[bytes, bool]], hidden: bool, shape: Shape) -> tuple[NDArray[np.uint8], Fit]:
    reader = AnswerParser((), shape.prompt, thinking=shape.thinking)
    settled = [each for blob, special in pieces for each in reader.push(blob, special).tokens]
    settled += reader.end().tokens
    kinds = np.array([kind for _, kind in settled], np.uint8)
    shown = [
        b"" if hidden and special and kind == TokenKind.SPECIAL else blob
        for kind, (blob, special) in zip(kinds, pieces, strict=True)
    ]
    spelling = Spelling(shown)
    fit = Fit.DIFFERS
    for first, before in _beginnings(spelling, kinds, shape):
        aligned = spelling.held(shape.text, first)
        if aligned is None:
            continue
        last, left = aligned
        if not _may_follow(left, sum(map(bool, shown[last:])), shape):
            fit = Fit.LONGER
            continue
        if before is not None:
            own = kinds[:first]
            own[own != TokenKind.SPECIAL] = before
        return _with_end(kinds, shown, pieces, last, shape), Fit.SPELLS
    if fit is Fit.DIFFERS and not shape.reasoning and spelling.begins(shape.text):
        fit = Fit.SHORTER
    return kinds, fit


def _beginnings(spelling: Spelling, kinds: NDArray[np.uint8], shape: Shape) -> Iterator[tuple[int, TokenKind | None]]:
    """(first token of the text, kind of the tokens before it), as candidates; None leaves their kinds unchanged."""
    thought = np.flatnonzero(kinds == TokenKind.REASONING)
    after = int(thought[-1]) + 1 if len(thought) else 0
    while after and after < len(kinds) and kinds[after] == TokenKind.SPECIAL:
        after += 1
    if shape.reasoning:
        end = spelling.end_of(shape.reasoning)
        if end is not None:
            if after >= end:
                yield after, TokenKind.REASONING
            yield spelling.without_closing(end), TokenKind.REASONING
        yield 0, None  # the tokens of the answer alone
        return
    yield 0, None
    if after:
        yield after, None
    if shape.tools and shape.text and (place := spelling.last_of(shape.text)) is not None:
        yield place, TokenKind.TOOL
    if shape.text:
        yield from ((place, TokenKind.SPECIAL) for place in spelling.after_headers())


def _may_follow(left: str, count: int, shape: Shape) -> bool:
    """Whether this many tokens that spell `left` may follow the text of an answer."""
    core = (_MARKERS.sub("", left) if shape.stopped else left).strip()
    if shape.tools or not core:
        return True
    if len(core) <= _LONGEST_PART and not core.strip(LOST):  # a character that was cut off
        return True
    if not shape.stopped:
        return False
    if shape.stops is None:  # a stop string is short
        return bool(shape.text) and count <= _MOST_OF_STOP and len(core) <= _LONGEST_STOP
    return any(
        (left.startswith(stop) or (bool(stop.strip()) and left.lstrip().startswith(stop.strip())))
        and len(left) <= len(stop) + _LONGEST_STOP
        for stop in shape.stops
    )


def _with_end(
    kinds: NDArray[np.uint8], shown: Sequence[bytes], pieces: Sequence[tuple[bytes, bool]], last: int, shape: Shape
) -> NDArray[np.uint8]:
    """The kinds, with those of the tokens after the text set. last: the first token after the text."""
    beyond = [place for place in range(last, len(shown)) if shown[place]]
    if shape.tools and beyond:
        kinds[beyond[0] :][kinds[beyond[0] :] == TokenKind.TEXT] = TokenKind.TOOL
    elif shape.stopped and beyond:
        kinds[beyond[0] :] = TokenKind.STOP
    # Some servers list the end of an answer as a token without text.
    if shape.stopped and len(kinds) and (kinds[-1] == TokenKind.SPECIAL or (not pieces[-1][0] and len(kinds) > 1)):
        kinds[-1] = TokenKind.STOP
    return kinds
