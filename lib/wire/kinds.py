"""What each token of an answer is for, told from the text that came with it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lib.answer import MARKERS, AnswerReader
from lib.pieces import Ints, Pieces
from lib.tokens import Kind

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
_STRETCH = 512  # bytes
# How vocabularies write the markers that no text holds: <|eot_id|>, <｜User｜>, <s>, [INST], <start_of_turn>.
_MARKER = re.compile(
    rb"<\|[^<>|\s]{1,64}\|>|<\xef\xbd\x9c[^<>\s]{1,64}\xef\xbd\x9c>|</?s>|\[/?[A-Z_]{3,32}\]"
    rb"|<(?:bos|eos|pad|unk|mask|(?:start|end)_of_\w{1,32})>"
)
_OPENING = np.frombuffer(b"<[", np.uint8)  # what every marker begins with
_REASONING = frozenset({*MARKERS, *MARKERS.values()})
_IMAGES = frozenset({b"<|image|>", b"<|image_pad|>", b"<image>", b"[IMG]", b"<|video_pad|>"})


def prompt_kinds(pieces: Pieces, refs: Ints, *, by_looks: bool = False) -> NDArray[np.uint8]:
    """uint8[n] of `Kind`: special tokens, placeholders of images, and text.

    by_looks: whether what looks like a marker is taken for special, as where no vocabulary says so.
    """
    by_row = np.append(np.where(pieces.special, Kind.SPECIAL, Kind.TEXT), Kind.TEXT).astype(np.uint8)
    for row in np.flatnonzero(pieces.special).tolist():
        if pieces.bytes_of(row) in _IMAGES:
            by_row[row] = Kind.IMAGE
    if by_looks:
        starts = pieces.offsets[:-1][np.diff(pieces.offsets) > 0]
        rows = np.flatnonzero(np.diff(pieces.offsets) > 0)[np.isin(pieces.data[starts], _OPENING)]
        marked = [row for row in rows.tolist() if looks_like_marker(pieces.bytes_of(row))]
        by_row[marked] = [Kind.IMAGE if pieces.bytes_of(row) in _IMAGES else Kind.SPECIAL for row in marked]
    return by_row[refs]


def looks_like_marker(blob: bytes) -> bool:
    """Whether a token of this spelling is a special one, as far as its looks tell. Reasoning's own markers are text."""
    return _MARKER.fullmatch(blob) is not None and blob not in _REASONING


def answer_kinds(
    pieces: Sequence[tuple[bytes, bool]],
    text: str,
    *,
    stopped: bool,
    reasoning: str = "",
    tools: bool = False,
    prompt: str = "",
    thinking: str | None = None,
) -> tuple[NDArray[np.uint8], bool]:
    """uint8[n] of `Kind`, and whether the tokens reproduce the text.

    Whether the service leaves special tokens out of its text is its own choice, so either is tried; so is taking for
    special what looks like a marker, for a reply that is read without a tokenizer.

    pieces: the bytes of every token and whether it is special. text: the answer as returned. stopped: whether it ended
    by itself, so that a stop token or stop string may follow the text. reasoning, tools: as in `Answer`. prompt: the
    text the model read, which may have opened a `<think>` block. thinking: as in `AnswerReader`.
    """
    tried: list[tuple[NDArray[np.uint8], bool]] = []
    for special, hidden in _ways([blob for blob, _ in pieces], [special for _, special in pieces]):
        marked = [(blob, flag) for (blob, _), flag in zip(pieces, special, strict=True)]
        found = _kinds(marked, hidden, text, stopped, reasoning, tools, AnswerReader((), prompt, thinking=thinking))
        if found[1]:
            return found
        tried.append(found)
    return tried[0]


def _ways(blobs: Sequence[bytes], special: list[bool]) -> Iterator[tuple[list[bool], bool]]:
    """Which tokens may be special, and whether those are left out of the text, the likeliest way first."""
    yield special, True
    if any(special):
        yield special, False
    elif any(looks := [looks_like_marker(blob) for blob in blobs]):
        yield looks, True


def _kinds(
    pieces: Sequence[tuple[bytes, bool]],
    hidden: bool,
    text: str,
    stopped: bool,
    reasoning: str,
    tools: bool,
    reader: AnswerReader,
) -> tuple[NDArray[np.uint8], bool]:
    settled = [each for blob, special in pieces for each in reader.push(blob, special).tokens]
    settled += reader.end().tokens
    kinds = np.array([kind for _, kind in settled], np.uint8)
    shown = [
        b"" if hidden and special and kind == Kind.SPECIAL else blob
        for kind, (blob, special) in zip(kinds, pieces, strict=True)
    ]
    lossy = [_REPLACEMENT in blob for blob in shown]
    starts, spelled = _starts(shown)
    place = _find(spelled, text, suffix=bool(reasoning or tools))
    if any(lossy) and spelled != text and not (reasoning or tools):
        # What stands for parts of characters spells nothing: the text is followed from one whole token to the next.
        starts, spelled, place = _followed(shown, lossy, text), text, 0
    if place is None or " ".join(reasoning.split()) not in " ".join(spelled.split()):
        return kinds, False
    end = place + len(text.strip()) if text not in spelled else place + len(text)
    before = starts + np.array([len(blob) for blob in shown], np.int64).clip(max=1) <= place
    if reasoning:
        kinds[before & (kinds != Kind.SPECIAL)] = Kind.REASONING
    elif tools and place > 0:
        kinds[before & (kinds != Kind.SPECIAL)] = Kind.TOOL
    beyond = starts >= end
    visible = np.array([bool(blob) for blob in shown], bool)
    if tools:
        kinds[beyond & visible & (kinds != Kind.REASONING)] = Kind.TOOL
    elif stopped and (beyond & visible).any():
        kinds[int(np.flatnonzero(beyond & visible)[0]) :] = Kind.STOP
    elif (beyond & visible).any() and spelled[end:].strip():
        return kinds, False
    # Some servers list the end of an answer as a token without text.
    if stopped and len(kinds) and (kinds[-1] == Kind.SPECIAL or (not pieces[-1][0] and len(kinds) > 1)):
        kinds[-1] = Kind.STOP
    return kinds, True


def _starts(shown: Sequence[bytes]) -> tuple[NDArray[np.int64], str]:
    """The character that each token begins in, of the text that all of them spell; and that text."""
    data = b"".join(shown)
    begins = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
    for start, end in _broken(data):
        begins[start:end] = False
        begins[start] = True  # what is no character is shown as one
    numbers = np.append(np.cumsum(begins) - 1, begins.sum())
    offsets = np.cumsum([0, *map(len, shown)])[:-1]
    return numbers[offsets].astype(np.int64), data.decode("utf-8", "replace")


def _broken(data: bytes) -> Iterator[tuple[int, int]]:
    """The stretches of bytes that decode to U+FFFD, one each."""
    place = 0
    while place < len(data):
        # In short stretches, as an error copies what it is found in.
        end = place + _STRETCH
        try:
            place += codecs.utf_8_decode(data[place:end], "strict", end >= len(data))[1]
        except UnicodeDecodeError as error:
            yield place + error.start, place + error.end
            place += error.end


def _followed(shown: Sequence[bytes], lossy: Sequence[bool], text: str) -> NDArray[np.int64]:
    """Where each token begins in the text, as far as whole tokens tell; those that follow the text lie beyond it."""
    starts, place, lost = [], 0, False
    for blob, broken in zip(shown, lossy, strict=True):
        part = blob.decode("utf-8", "replace")
        if lost and not broken and part:
            found = text.find(part, place)
            place = found if found >= 0 else len(text)
        starts.append(place)
        lost = broken
        place += 0 if broken else len(part)
    return np.array(starts, np.int64)


def _find(spelled: str, text: str, *, suffix: bool) -> int | None:
    """Where the returned text stands in what the tokens spell; None where it does not.

    White space at its ends may have been trimmed, and SentencePiece writes no space at the front.
    """
    if suffix:
        place = spelled.rfind(text) if text else len(spelled)
        return place if place >= 0 else None
    for lead in (0, 1):
        if spelled[:lead].strip() == "" and spelled.startswith(text, lead):
            return lead
    lead = len(spelled) - len(spelled.lstrip())
    return lead if spelled.startswith(text, lead) else None
