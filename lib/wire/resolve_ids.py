"""From the strings that OpenAI's formats send to the ids behind them.

A string is what a single id decodes to, so it may stand for several ids: those of all parts of characters decode to
U+FFFD, and some tokenizers drop a space. The text of the answer tells most of them apart.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.positions import Positions

_MOST_ALIKE = 64  # ids of one name that are looked at; more cannot be told apart
_UNTOLD = -2  # an id that its string must not be taken for
_LONGEST = 64  # bytes of a part of a character, with what a vocabulary has joined to it
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def with_ids(found: Positions, text: str, tokenizer: Tokenizer, ids: tuple[int, ...] | None = None) -> Positions:
    """The positions with the ids that can be told; the others keep their strings.

    ids: of the chosen tokens, where the service sent them.
    """
    if found.literals is None:
        return found
    numbers = found.ids.copy()
    names = tokenizer.names
    texts = [blob.decode("utf-8", "replace") for blob in found.literals]
    for entry in np.flatnonzero(numbers < 0).tolist():
        candidates = names.get(texts[entry], ())
        if _REPLACEMENT in texts[entry]:
            # Real bytes of a part of a character can be told from others; a mark in their place may be any of them.
            marked = _REPLACEMENT.encode() in found.literals[entry]
            candidates = () if marked else tokenizer.ids_of_bytes.get(found.literals[entry], ())
        if len(candidates) == 1:
            numbers[entry] = candidates[0]
    chosen = found.chosen.tolist()
    if ids is not None and len(ids) == len(found):
        for place, number in zip(chosen, ids, strict=True):
            if place >= 0:
                numbers[place] = number
    elif all(place >= 0 for place in chosen):
        for run, whole in _joint([texts[place] for place in chosen]):
            own = tokenizer.encode(whole)
            places = [chosen[position] for position in run]
            if (numbers[places[:-1]] < 0).all():
                numbers[places] = own if len(own) == len(run) else _UNTOLD
        spelled = _spelled(
            [texts[place] for place in chosen], [int(numbers[place]) for place in chosen], text, tokenizer
        )
        numbers[chosen] = spelled
        numbers[numbers == _UNTOLD] = -1
    return replace(found, ids=numbers)


def _joint(names: list[str]) -> list[tuple[range, str]]:
    """Runs of strings that are empty up to the last, which is a character that all of them are parts of.

    Some servers send a character with the token that completes it; its string may also be another token's own.
    """
    found, start = [], 0
    for position, name in enumerate(names):
        if not name:
            continue
        if position > start and not name.isascii() and _REPLACEMENT not in name:
            found.append((range(start, position + 1), name))
        start = position + 1
    return found


def _spelled(names: list[str], known: list[int], text: str, tokenizer: Tokenizer) -> list[int]:
    """The ids of tokens of these names that spell the text one after another; -1 where it cannot be told."""
    pieces = tokenizer.vocabulary.pieces
    data, place = text.encode("utf-8", "surrogatepass"), 0
    ids = list(known)
    position = 0
    while position < len(names):
        name = names[position]
        if _REPLACEMENT in name and ids[position] < 0:
            last = position + 1
            while last < len(names) and _REPLACEMENT in names[last]:
                last += 1
            if last == len(names):
                end = len(data)
            else:
                following = names[last].encode("utf-8", "surrogatepass")
                end = data.find(following, place, place + _LONGEST * (last - position) + len(following))
            segment = data[place : end if end >= 0 else place]
            found = _parts(names[position:last], segment, tokenizer)
            if all(known in (-1, own) for known, own in zip(ids[position:last], found, strict=True)):
                ids[position:last] = found
            place += len(segment)
            position = last
            continue
        alike = [] if ids[position] == _UNTOLD else tokenizer.names.get(name, ())[:_MOST_ALIKE]
        candidates = [ids[position]] if ids[position] >= 0 else alike
        candidates = [number for number in candidates if number < len(pieces)]
        fitting = sum(_fits(data, place, pieces.bytes_of(number)) for number in candidates)
        for number in candidates:
            blob = pieces.bytes_of(number)
            lead = 1 if place == 0 and blob.startswith(b" ") and not data.startswith(blob) else 0
            if data.startswith(blob[lead:], place) and fitting == 1:
                ids[position] = number
                if not pieces.special[number]:
                    place += len(blob) - lead
                break
        else:
            blob = name.encode("utf-8", "surrogatepass")
            place += len(blob) if data.startswith(blob, place) else 0
        position += 1
    return ids


def _fits(data: bytes, place: int, blob: bytes) -> bool:
    return data.startswith(blob, place) or (place == 0 and blob.startswith(b" ") and data.startswith(blob[1:]))


def _parts(names: list[str], segment: bytes, tokenizer: Tokenizer) -> list[int]:
    """The ids of parts of characters that together are `segment`, cut as the tokenizer does, if that fits."""
    unknown = [-2] * len(names)  # which no id agrees with
    text = segment.decode("utf-8", "replace")
    if _REPLACEMENT in text:  # lost in the text as well
        return unknown
    ids = tokenizer.encode(text)
    if len(ids) != len(names):
        return unknown
    pieces = tokenizer.vocabulary.pieces
    fits = all(
        pieces.bytes_of(number).decode("utf-8", "replace") == name for number, name in zip(ids, names, strict=True)
    )
    return ids if fits else unknown


def _looks_alike(literals: tuple[bytes, ...], row: range, own: int, ambiguous: set[bytes] | None) -> bool:
    """Whether strings of this position may stand for several tokens, so that its list may be short of some."""
    if any(literals[entry] == literals[own] for entry in row if entry != own):
        return True
    lossy = _REPLACEMENT.encode()
    return ambiguous is not None and any(literals[entry] in ambiguous or lossy in literals[entry] for entry in row)


def ranks_of(found: Positions, k: int, ambiguous: set[bytes] | None, *, roomy: bool) -> Positions:
    """The ranks of the chosen tokens as far as their lists tell; the formats that send strings send no ranks.

    The list holds the k likeliest and the token itself. In a place that something less likely follows it in, a token's
    rank is its place; at the end of the k it may be any. roomy: whether a list of up to k entries has no token from
    beyond, so that its last one is known, too. ambiguous: strings that may have hidden one another in a list keyed by
    string; None where lists are not keyed so.
    """
    ranks = found.ranks.copy()
    chosen = found.chosen
    for position in np.flatnonzero(chosen >= 0).tolist():
        row, own = found.row(position), int(chosen[position])
        logprobs = found.logprobs[row.start : row.stop]
        mine = found.logprobs[own]
        if np.isnan(mine) or ranks[own] > 0:
            continue
        if found.literals is not None and _looks_alike(found.literals, row, own, ambiguous):
            continue
        followed = bool((np.sort(-logprobs)[:k] > -mine).any())
        if not followed and not (roomy and len(row) <= k):
            continue
        ranks[own] = 1 + int((logprobs > mine).sum())
    return replace(found, ranks=ranks)
