"""Compare a response's strings with its text, and correct what is missing or spelled differently."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.core.pieces import offsets_of
from lib.tokenizers.vocabulary import byte_alphabet, from_byte_alphabet, from_sentencepiece
from lib.wire.positions import Positions
from lib.wire.token_kinds import Fit, Shape, answer_kinds, looks_like_marker

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
_SPACE = "Ġ".encode()  # a space in a byte-level vocabulary
_BYTES = re.compile(rb"bytes:\s*((?:\\x[0-9a-fA-F]{2}|[^\\])*)")
_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")


@dataclass(frozen=True, eq=False)
class Correction:
    """The positions of an answer, with its strings corrected as far as the text shows how."""

    found: Positions
    spells: bool = True  # whether the chosen strings spell the text
    nameless: bool = False  # whether the response names no token at all
    unnamed: int = 0  # tokens that were listed without text and now have it
    gaps: int = 0  # spans of text that were inserted because no token covers them


def check_spelling(found: Positions, shape: Shape, *, counted: int | None) -> Correction:
    """Compare the strings of an answer with its text. counted: as in `AnswerContext`."""
    if found.literals is None or not len(found):
        return Correction(found)
    if (found.chosen < 0).all():
        return Correction(found, nameless=bool(found.counts.any()))
    if (found.chosen < 0).any() or (found.ids[found.chosen] >= 0).any():
        return Correction(found)  # without a string for every token there is nothing to compare

    def fits(names: Sequence[bytes]) -> bool:
        return answer_kinds([(name, False) for name in names], shape)[1] is Fit.SPELLS

    names = [found.literals[place] for place in found.chosen.tolist()]
    if fits(names):
        return Correction(found)
    for respell in (_unescaped, _from_bytes, _from_pieces):
        other = [respell(name) for name in names]
        if other != names and fits(other):
            return Correction(replace(found, literals=tuple(respell(name) for name in found.literals)))
    if any(_REPLACEMENT in name for name in names) or shape.reasoning or shape.tools:
        return Correction(found, spells=False)
    text = shape.text.encode("utf-8", "surrogatepass")
    if (filled := _filled(names, text)) is not None and fits(filled):
        literals = list(found.literals)
        for place, name in zip(found.chosen.tolist(), filled, strict=True):
            literals[place] = name
        return Correction(
            replace(found, literals=tuple(literals)), unnamed=sum(map(bool, filled)) - sum(map(bool, names))
        )
    if (counted is None or counted > len(found)) and (parts := _with_gaps(names, text)) is not None:
        whole = _inserted(found, parts)
        return Correction(whole, gaps=len(whole) - len(found))
    return Correction(found, spells=False)


def in_plain_spelling(names: Sequence[bytes]) -> Callable[[bytes], bytes] | None:
    """How to respell strings that are in a byte-level vocabulary's own spelling; None if nothing shows that."""
    if not any(name.startswith(_SPACE) for name in names) or any(b" " in name or b"\n" in name for name in names):
        return None
    letters = byte_alphabet()
    spelled = all(letter in letters for name in names for letter in name.decode("utf-8", "replace"))
    return _from_bytes if spelled else None


def spelled_length(names: Sequence[bytes], text: str) -> int:
    """The number of characters that these strings spell from the start of a text, skipping markers that it lacks."""
    data, place = text.encode("utf-8", "surrogatepass"), 0
    for name in names:
        if data.startswith(name, place):
            place += len(name)
        elif not looks_like_marker(name):
            if place == 0 and name.startswith(b" ") and data.startswith(name[1:]):
                place = len(name) - 1
            elif _REPLACEMENT not in name:
                place = min(place + len(name), len(data))
    return len(data[:place].decode("utf-8", "ignore"))


def _unescaped(name: bytes) -> bytes:
    r"""A part of a character as older OpenAI models write it: bytes:\xe3\x81."""
    match = _BYTES.fullmatch(name)
    return name if match is None else _ESCAPE.sub(lambda each: bytes([int(each[1], 16)]), match[1])


def _from_bytes(name: bytes) -> bytes:
    return _respelled(name, from_byte_alphabet)


def _from_pieces(name: bytes) -> bytes:
    return _respelled(name, from_sentencepiece)


def _respelled(name: bytes, how: Callable[[str], bytes]) -> bytes:
    try:
        return _REPLACEMENT.join(how(part.decode("utf-8", "surrogatepass")) for part in name.split(_REPLACEMENT))
    except UnicodeDecodeError:  # real bytes, not a vocabulary's spelling
        return name


def _filled(names: Sequence[bytes], text: bytes) -> list[bytes] | None:
    """The strings, with the text between its neighbours for each empty one; None if the others don't fit the text.

    If there are as many bytes as tokens, each has one. Otherwise the last token, which completes them, has all.
    """
    if all(names):
        return None
    filled, place, start = list(names), 0, -1
    for number, name in [*enumerate(names), (len(names), b"")]:
        if name == b"" and number < len(names):
            start = number if start < 0 else start
            continue
        end = text.find(name, place) if name else len(text)
        if end < 0 or (start < 0 and end != place):
            return None
        if start >= 0:
            missing, count = text[place:end], number - start
            if not _parts_may_spell(missing, count):
                return None
            single = len(missing) == count
            own = [missing[i : i + 1] for i in range(count)] if single else [b""] * (count - 1) + [missing]
            filled[start:number], start = own, -1
        place = end + len(name)
    return filled


def _parts_may_spell(missing: bytes, count: int) -> bool:
    """Whether this many parts of characters may be these bytes. The first may include the space before it."""
    return len(missing) <= 1 + 4 * count and all(byte >= 0x80 for byte in missing.removeprefix(b" "))


def _with_gaps(names: Sequence[bytes], text: bytes) -> list[bytes | int] | None:
    """The numbers of the strings in the order of the text, with the text between them.

    None if they don't occur in this order, or occur in the text in more than one way.
    """
    kept = [number for number, name in enumerate(names) if name and not (looks_like_marker(name) and name not in text)]
    first, place = [], 0
    for number in kept:
        if (at := text.find(names[number], place)) < 0:
            return None
        first.append(at)
        place = at + len(names[number])
    place = len(text)
    for number, at in zip(reversed(kept), reversed(first), strict=True):
        if text.rfind(names[number], 0, place) != at:
            return None
        place = at
    parts: list[bytes | int] = []
    place, starts = 0, dict(zip(kept, first, strict=True))
    for number, name in enumerate(names):
        if number in starts:
            parts += [text[place : starts[number]]] if starts[number] > place else []
            place = starts[number] + len(name)
        parts.append(number)
    parts += [text[place:]] if place < len(text) else []
    return parts if kept else None


def _inserted(found: Positions, parts: Sequence[bytes | int]) -> Positions:
    """The positions, with an unscored one inserted for each text among the parts."""
    literals = found.literals or ()
    counts, chosen, ids, logprobs, ranks, names = [], [], [], [], [], []  # type: ignore[var-annotated]
    for part in parts:
        if isinstance(part, bytes):
            chosen.append(len(ids))
            counts.append(1)
            ids.append(-1)
            logprobs.append(np.nan)
            ranks.append(-1)
            names.append(part)
            continue
        row = found.row(part)
        chosen.append(len(ids) + int(found.chosen[part]) - row.start)
        counts.append(len(row))
        ids += found.ids[row.start : row.stop].tolist()
        logprobs += found.logprobs[row.start : row.stop].tolist()
        ranks += found.ranks[row.start : row.stop].tolist()
        names += literals[row.start : row.stop]
    return Positions(
        offsets_of(np.array(counts, np.int32)),
        np.array(ids, np.int32),
        np.array(logprobs, np.float32),
        np.array(ranks, np.int32),
        tuple(names),
        np.array(chosen, np.int32),
    )
