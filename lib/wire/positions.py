"""The positions of a response as columns, and the tokens made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lib.core.pieces import Ints, Pieces, concatenate_pieces, make_pieces, positions
from lib.core.tokens import MOST_CELLS, MOST_LISTED, Floats, Tokens, make_tokens, within_bounds
from lib.errors import BadResponse
from lib.tokenizers.vocabulary import Vocabulary

UNDECIDED = -1
MAX_ID = 2**31 - 1  # the largest token id or rank that the columns can hold
ABSENT = -9999.0  # sent for p = 0, because JSON has no -inf


@dataclass(frozen=True, eq=False)
class Positions:
    """`n` positions with `e` entries in all, in the order sent."""

    offsets: Ints  # int32[n + 1] into the entries; a position without entries is unscored
    ids: Ints  # int32[e]; -1 if only a string was sent
    logprobs: Floats  # float32[e], nats; -inf for p = 0, NaN if null was sent
    ranks: Ints  # int32[e], from 1; -1 if not sent
    literals: tuple[bytes, ...] | None  # [e], the bytes of the strings sent; None if none are needed
    chosen: Ints  # int32[n], the entry that is the position's own token; -1 if the response doesn't say

    def __len__(self) -> int:
        return len(self.chosen)

    @cached_property
    def counts(self) -> Ints:
        """int32[n]: entries per position."""
        return self.offsets[1:] - self.offsets[:-1]

    @cached_property
    def rows(self) -> Ints:
        """int32[e]: the position of every entry."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.counts)

    def row(self, position: int) -> range:
        """The entries of a position."""
        return range(int(self.offsets[position]), int(self.offsets[position + 1]))

    def between(self, first: int, last: int) -> Positions:
        """The positions from first to last, excluding last."""
        start, end = int(self.offsets[first]), int(self.offsets[last])
        chosen = self.chosen[first:last]
        return Positions(
            self.offsets[first : last + 1] - start,
            self.ids[start:end],
            self.logprobs[start:end],
            self.ranks[start:end],
            None if self.literals is None else self.literals[start:end],
            np.where(chosen >= 0, chosen - start, chosen).astype(np.int32),
        )


NO_POSITIONS = Positions(
    np.zeros(1, np.int32),
    np.empty(0, np.int32),
    np.empty(0, np.float32),
    np.empty(0, np.int32),
    None,
    np.empty(0, np.int32),
)


def inferred_k(found: Positions) -> int:
    """The number of alternatives requested, inferred: a position has that many entries or one more."""
    counts = found.counts[found.counts > 0]
    return int(counts.min()) if len(counts) else 0


def table_for(ids: Ints, literals: tuple[bytes, ...] | None, vocabulary: Vocabulary | None) -> tuple[Pieces, Ints]:
    """(a piece table for these entries, the row of each). Entries with the same id, or the same literal, share a row.

    The bytes of an id come from the vocabulary, else from the string sent with it; else it is shown as its number.
    """
    known = ids >= 0
    unique, first, inverse = np.unique(ids[known], return_index=True, return_inverse=True)
    refs = np.full(len(ids), -1, np.int32)
    refs[known] = inverse
    places = np.flatnonzero(known)[first]
    tables = [_of_ids(unique, [literals[place] for place in places.tolist()] if literals else None, vocabulary)]
    if literals is not None and not known.all():
        texts = {literals[place]: None for place in np.flatnonzero(~known).tolist()}
        numbers = {text: len(unique) + i for i, text in enumerate(texts)}
        refs[~known] = [numbers[literals[place]] for place in np.flatnonzero(~known).tolist()]
        tables.append(make_pieces([(-1, text, False) for text in texts]))
    return concatenate_pieces(tables), refs


def _of_ids(ids: Ints, texts: list[bytes] | None, vocabulary: Vocabulary | None) -> Pieces:
    if vocabulary is not None and len(ids) and ids[-1] < len(vocabulary):
        table = vocabulary.pieces.select(ids)
        if (np.diff(table.offsets) > 0).all():
            return table
    size = 0 if vocabulary is None else len(vocabulary)
    entries = []
    for place, number in enumerate(ids.tolist()):
        own = vocabulary.pieces.bytes_of(number) if vocabulary is not None and number < size else b""
        special = bool(own) and vocabulary is not None and bool(vocabulary.pieces.special[number])
        sent = texts[place] if texts else b""
        entries.append((number, own or sent or number_piece(number), special))
    return make_pieces(entries)


def number_piece(number: int) -> bytes:
    """How to show an id whose bytes are unknown."""
    return f"⟨{number}⟩".encode()


def too_many() -> BadResponse:
    """The error for a response whose columns would take far more memory than any answer's."""
    return BadResponse("The response has more positions and alternatives than any answer.", "Open the response itself.")


def to_tokens(
    found: Positions, chosen_ids: Ints, k: int, vocabulary: Vocabulary | None, kinds: NDArray[np.uint8] | None = None
) -> Tokens:
    """The tokens at these positions. A position without a chosen entry is unscored, with all entries as alternatives.

    chosen_ids: int32[n], the id at each position without a chosen entry; -1 if that is unknown too.
    k: the number of alternatives, including the chosen token if it is likely enough.
    """
    n, extra = len(found), np.asarray(chosen_ids, np.int32)
    ids = np.concatenate([found.ids, extra])
    literals = None if found.literals is None else (*found.literals, *([b""] * n))
    absent = np.concatenate([np.zeros(len(found.ids), bool), extra < 0])
    pieces, refs = table_for(ids, literals, vocabulary)
    refs[absent] = -1
    entry_refs, own_refs = refs[: len(found.ids)], refs[len(found.ids) :]
    decided = found.chosen >= 0
    place = found.chosen[decided]
    result_refs = own_refs.copy()
    result_refs[decided] = entry_refs[place]
    logprobs = np.full(n, np.nan, np.float32)
    ranks = np.full(n, -1, np.int32)
    logprobs[decided] = found.logprobs[place]
    ranks[decided] = found.ranks[place]
    top_refs, top_logprobs = _listed(found, entry_refs, k)
    tokens = make_tokens(
        pieces, result_refs, logprobs=logprobs, ranks=ranks, top_refs=top_refs, top_logprobs=top_logprobs, kinds=kinds
    )
    if not within_bounds((tokens,)):  # before anything joins their bytes
        raise too_many()
    return tokens


def order(found: Positions) -> NDArray[np.intp]:
    """The entries of each position, most likely first; among equals the chosen one first, then as sent."""
    several, width = found.counts, int(found.counts.max(initial=0))
    leads = (found.chosen < 0) | (found.chosen == found.offsets[:-1])
    if leads.all() and len(several) * width <= 4 * len(found.ids) + 64:
        # The chosen entry was sent first: a stable sort of each row keeps it there, and is faster.
        places = found.offsets[:-1, None] + np.arange(width)
        inside = np.arange(width) < several[:, None]
        keys = np.where(inside, -found.logprobs[np.where(inside, places, 0)], np.nan) if width else places
        ranked = np.argsort(keys, axis=1, kind="stable")
        # Padding sorts at the end, after any NaN.
        return np.take_along_axis(places, ranked, axis=1)[inside].astype(np.intp)
    first = np.ones(len(found.ids), bool)
    first[found.chosen[found.chosen >= 0]] = False
    # NaN sorts last.
    return np.lexsort((first, -found.logprobs, found.rows))


def _listed(found: Positions, refs: Ints, k: int) -> tuple[Ints, Floats]:
    """The columns of alternatives, most likely first."""
    ranked = order(found)
    counts = found.counts
    column = positions(np.zeros(len(counts), np.int32), counts)
    rows = found.rows
    undecided = found.chosen[rows] < 0
    # The list includes the chosen token even if it isn't among the top k; its rank shows whether it is.
    chosen = np.zeros(len(found.ids), bool)
    chosen[found.chosen[found.chosen >= 0]] = True
    own = chosen[ranked]
    # Another token with the same string can't be distinguished from it.
    mine = np.where(found.chosen >= 0, refs[found.chosen], -2)[rows] if len(refs) else np.empty(0, np.int32)
    twin = (refs[ranked] == mine) & ~own
    beyond = own & ((found.ranks[ranked] < 1) | (found.ranks[ranked] > column + 1))
    usable = ~np.isnan(found.logprobs[ranked]) & (refs[ranked] >= 0) & ~beyond & ~twin
    before = np.append(0, np.cumsum(usable))
    column = (before[:-1] - before[found.offsets[:-1]][rows]).astype(np.int64)
    kept = usable & ((column < k) | (undecided & (column < MOST_LISTED)))
    width = max(k, int(column[kept].max(initial=-1)) + 1)
    if len(found) * width > MOST_CELLS:
        raise too_many()
    top_refs = np.full((len(found), width), -1, np.int32)
    top_logprobs = np.full((len(found), width), np.nan, np.float32)
    top_refs[rows[kept], column[kept]] = refs[ranked][kept]
    top_logprobs[rows[kept], column[kept]] = found.logprobs[ranked][kept]
    return top_refs, top_logprobs
