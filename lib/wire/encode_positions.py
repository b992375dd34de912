"""Convert tokens to the positions that a format sends: the inverse of decoding them."""

from __future__ import annotations

import math

import numpy as np

from lib.core.pieces import offsets_of
from lib.core.tokens import Tokens
from lib.wire.formats import Format
from lib.wire.positions import ABSENT, Positions

Entry = tuple[int, float, int]  # row of the piece table, logprob in nats, rank from 1


def sent_prompt(tokens: Tokens, wire_format: Format) -> Positions:
    """The prompt's positions by id, each token's own entry first. A token without an id or a score has no entry."""
    rows: list[list[Entry]] = []
    for row in range(len(tokens)):
        own = int(tokens.refs[row])
        if own < 0 or tokens.pieces.ids[own] < 0 or math.isnan(tokens.logprobs[row]):
            rows.append([])
            continue
        others = [entry for entry in _others(tokens, row) if tokens.pieces.ids[entry[0]] >= 0]
        if wire_format is Format.EARLY:  # k is 1: the most likely token, if it is another
            others = [entry for entry in others[:1] if entry[1] > float(tokens.logprobs[row])]
        rows.append([_own(tokens, row), *others])
    return _positions(tokens, rows, ranked=wire_format is not Format.EARLY)


def sent_answer(tokens: Tokens, wire_format: Format, top: int) -> Positions:
    """The answer's positions: by id in BedrockCompletion, which sends only the sampled token, else by string.

    top: the number of top logprobs requested. A chat's list begins with the sampled token and is truncated at it.
    """
    rows: list[list[Entry]] = []
    for row in range(len(tokens)):
        own, others = _own(tokens, row), _others(tokens, row)
        if wire_format.is_bedrock:
            known = own[0] >= 0 and tokens.pieces.ids[own[0]] >= 0 and not math.isnan(own[1])
            rows.append([own] if known else [])
        elif wire_format is Format.CHAT:
            rows.append([own, *others][: max(top, 1)])
        else:
            rows.append([own, *_distinct(tokens, own, others)] if top else [own])
    return _positions(tokens, rows, ranked=False, named=not wire_format.is_bedrock)


def _own(tokens: Tokens, row: int) -> Entry:
    return int(tokens.refs[row]), _score(float(tokens.logprobs[row])), int(tokens.ranks[row])


def _score(logprob: float) -> float:
    """The logprob as it can be sent: everything at or below the value for p = 0 becomes p = 0."""
    return -math.inf if logprob <= ABSENT else logprob


def _others(tokens: Tokens, row: int) -> list[Entry]:
    """The alternatives of a position without its own token, most likely first."""
    listed = zip(tokens.top_refs[row].tolist(), tokens.top_logprobs[row].tolist(), strict=True)
    ranked = [(ref, _score(logprob)) for ref, logprob in listed if ref >= 0 and not math.isnan(logprob)]
    values = sorted((logprob for _, logprob in ranked), reverse=True)
    return [(ref, logprob, values.index(logprob) + 1) for ref, logprob in ranked if ref != int(tokens.refs[row])]


def name_of(tokens: Tokens, ref: int) -> str:
    """The string that a token's single id decodes to."""
    return tokens.pieces.bytes_of(ref).decode("utf-8", "replace")


def _distinct(tokens: Tokens, own: Entry, others: list[Entry]) -> list[Entry]:
    """The alternatives that survive in a list keyed by string: of equal strings the last, in the first one's place."""
    kept: dict[str, Entry] = {name_of(tokens, own[0]): own}
    for entry in others:
        kept[name_of(tokens, entry[0])] = entry
    first = kept.pop(name_of(tokens, own[0]))
    return ([] if first is own or math.isclose(first[1], own[1], abs_tol=1e-6) else [first]) + list(kept.values())


def _positions(tokens: Tokens, rows: list[list[Entry]], *, ranked: bool, named: bool = False) -> Positions:
    flat = [entry for row in rows for entry in row]
    refs = [ref for ref, _, _ in flat]
    offsets = offsets_of(np.array([len(row) for row in rows], np.int32))
    ids = tokens.pieces.ids
    scores = np.array([logprob for _, logprob, _ in flat], np.float32)
    return Positions(
        offsets,
        np.array([-1 if named or ref < 0 else ids[ref] for ref in refs], np.int32),
        scores,
        np.array([rank if ranked else -1 for _, _, rank in flat], np.int32),
        tuple(name_of(tokens, ref).encode() for ref in refs),
        np.where(np.diff(offsets) > 0, offsets[:-1], -1).astype(np.int32),
    )
