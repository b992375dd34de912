"""Resolve the strings that OpenAI's formats send to token ids and ranks.

Several ids may decode to one string: all parts of characters decode to U+FFFD, and some tokenizers drop a space. The
text of the answer distinguishes most of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.positions import Positions

_MOST_ALIKE = 64  # ids with one string that are considered
_UNRESOLVED = -2  # an id that must not be resolved from its string
_LONGEST = 64  # bytes of a token that includes a part of a character
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def with_ids(found: Positions, text: str, tokenizer: Tokenizer, ids: tuple[int, ...] | None = None) -> Positions:
    """The positions with the ids that can be resolved; the other entries keep their strings.

    ids: the ids of the chosen tokens, if the service sent them.
    """
    if found.literals is None:
        return found
    numbers = found.ids.copy()
    names = tokenizer.names
    texts = [blob.decode("utf-8", "replace") for blob in found.literals]
    for entry in np.flatnonzero(numbers < 0).tolist():
        candidates = names.get(texts[entry], ())
        if _REPLACEMENT in texts[entry]:
            # Real bytes of a part of a character identify it; a replacement character may be any of them.
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
                numbers[places] = own if len(own) == len(run) else _UNRESOLVED
        spelled = _spelled(
            [texts[place] for place in chosen], [int(numbers[place]) for place in chosen], text, tokenizer
        )
        numbers[chosen] = spelled
        numbers[numbers == _UNRESOLVED] = -1
    return replace(found, ids=numbers)


def _joint(names: list[str]) -> list[tuple[range, str]]:
    """Runs of empty strings up to a character that all of them are parts of, with that character.

    Some servers send a character with the token that completes it; its string may also be another token's.
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
    """The ids of tokens with these strings that spell the text in order; -1 if unknown."""
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
        alike = [] if ids[position] == _UNRESOLVED else tokenizer.names.get(name, ())[:_MOST_ALIKE]
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
    """The ids of parts of characters that together are `segment`, tokenized by the tokenizer, if that fits."""
    unknown = [-2] * len(names)  # which matches no id
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
    """Whether strings at this position may belong to several tokens, so that its list may lack some."""
    if any(literals[entry] == literals[own] for entry in row if entry != own):
        return True
    lossy = _REPLACEMENT.encode()
    return ambiguous is not None and any(literals[entry] in ambiguous or lossy in literals[entry] for entry in row)


def ranks_of(found: Positions, k: int, ambiguous: set[bytes] | None, *, roomy: bool) -> Positions:
    """The positions with the ranks of the chosen tokens, as far as their lists show; no ranks are sent with strings.

    A list has the k most likely tokens and the chosen token. If a less likely token follows it, the chosen token's rank
    is its place in the list; at the end of the list it may be lower.

    ambiguous: strings that may have hidden one another in a list keyed by string; None if lists aren't keyed so.
    roomy: whether a list of up to k entries has only the top k, so that the rank of its last one is known too.
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
