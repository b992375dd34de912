"""Check what a response lists at its positions, and put it into columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from lib.core.pieces import Ints, offsets_of
from lib.core.tokens import Floats
from lib.errors import BadResponse
from lib.wire.json_fields import OPEN_UNCHANGED
from lib.wire.positions import ABSENT, MAX_ID, UNDECIDED, Positions

_ROUNDING = 0.01  # nats above 0 that half precision may explain
_MOST_ENTRIES = 1_000  # at one position
_MOST_POSITIONS = 1_000_000  # a response of 25 MB has room for half of that
_LARGE, _LEAST_ENTRY = 2_000_000, 12  # bytes of JSON
REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()


@dataclass(eq=False)
class Entries:
    """The entries of all positions, in the order sent."""

    counts: list[int] = field(default_factory=list)  # entries at each position
    ids: list[int] = field(default_factory=list)  # token id of each entry; -1 if only a string was sent
    logprobs: list[float | None] = field(default_factory=list)  # nats; None or NaN if null was sent
    ranks: list[int | None] = field(default_factory=list)  # from 1; None or -1 if not sent
    literals: list[bytes] = field(default_factory=list)  # the strings sent; empty if none are needed


def check_density(raw: msgspec.Raw) -> None:
    """Raise BadResponse for more entries than any response has room for, before they are built."""
    data = memoryview(raw)
    if len(data) < _LARGE:
        return
    count = bytes(data).count(b"{")
    if count > _MOST_POSITIONS and count * _LEAST_ENTRY > len(data):
        raise BadResponse(f"The response lists {count:,} entries without content.", "Open the response itself.")


def to_columns(entries: Entries, chosen: Ints | None = None) -> Positions:
    """The positions with these entries. Raises BadResponse for impossible numbers.

    chosen: int32[n], the entry that is each position's own token, if the format says so; ids of -1 are allowed then.
    """
    ids = _ids(entries.ids, unknown_allowed=chosen is not None)
    _check_counts(entries.counts)
    return Positions(
        offsets_of(np.array(entries.counts, np.int32)),
        ids,
        _logprobs(entries.logprobs),
        _ranks(entries.ranks),
        tuple(entries.literals) if any(entries.literals) or chosen is not None else None,
        np.full(len(entries.counts), UNDECIDED, np.int32) if chosen is None else np.asarray(chosen, np.int32),
    )


def _ids(ids: Sequence[int], *, unknown_allowed: bool) -> Ints:
    try:
        wide = np.array(ids, np.int64)
    except OverflowError:
        wide = np.array([MAX_ID + 1])
    if len(wide) and wide.max() > MAX_ID:
        raise BadResponse("The response holds a token id that no vocabulary has.", "Save the response again.")
    if len(wide) and not unknown_allowed and wide.min() < 0:
        raise BadResponse("The response holds a negative token id.", "Save the response again.")
    return wide.astype(np.int32)


def _check_counts(counts: Sequence[int]) -> None:
    if len(counts) > _MOST_POSITIONS:
        raise BadResponse(
            f"The response has {len(counts):,} positions; at most {_MOST_POSITIONS:,} are read.", OPEN_UNCHANGED
        )
    if max(counts, default=0) > _MOST_ENTRIES:
        raise BadResponse(
            f"The response lists {max(counts):,} tokens at one position; no service lists more than 20.",
            OPEN_UNCHANGED,
        )


def _logprobs(logprobs: Sequence[float | None]) -> Floats:
    with np.errstate(over="ignore"):
        scores = np.array(logprobs, np.float32)  # None becomes NaN
    with np.errstate(invalid="ignore"):
        if (scores > _ROUNDING).any():
            raise BadResponse(
                f"The response holds {scores[scores > _ROUNDING][0]:g} as a logprob, but no logprob is above 0.",
                "These may be probabilities or logits: open the response as Bedrock sent it.",
            )
        scores[scores <= ABSENT] = -np.inf
        scores[scores > 0] = 0.0
    return scores


def _ranks(ranks: Sequence[int | None]) -> Ints:
    try:
        wide = np.array(ranks, np.int64)
    except (TypeError, OverflowError):  # a null, or more than any vocabulary has
        wide = np.array([rank if rank is not None and 0 < rank <= MAX_ID else -1 for rank in ranks], np.int64)
    wide[(wide < 1) | (wide > MAX_ID)] = -1  # an impossible rank is unknown
    return wide.astype(np.int32)
