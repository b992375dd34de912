"""What a response says of its positions, as columns; and the tokens that come of it."""

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
ABSENT = -9999.0  # what stands for p = 0, as JSON has no -inf


@dataclass(frozen=True, eq=False)
class Positions:
    """`n` positions with `e` entries in all, in the order sent.

    offsets: int32[n + 1] into the entries; a position without entries is unscored.
    ids: int32[e], -1 where only a string was sent. logprobs: float32[e], nats; -inf = p 0, NaN where null was sent.
    ranks: int32[e], -1 where none was sent. literals: the bytes of the strings sent, or None where none are needed.
    chosen: int32[n], the entry that is the token at that place; -1 where the response does not say.
    """

    offsets: Ints
    ids: Ints
    logprobs: Floats
    ranks: Ints
    literals: tuple[bytes, ...] | None
    chosen: Ints

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
        """The positions first to last, last excluded."""
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
    """How many alternatives were asked for, as far as it shows: a position has that many entries or one more."""
    counts = found.counts[found.counts > 0]
    return int(counts.min()) if len(counts) else 0


def table_for(ids: Ints, literals: tuple[bytes, ...] | None, vocabulary: Vocabulary | None) -> tuple[Pieces, Ints]:
    """A piece table for these entries and the row of each. Same id, same row; likewise same literal.

    The bytes of an id come from the vocabulary; without one from the string sent with it; failing that it is shown
    as its number.
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
    """How an id is shown whose bytes are not known."""
    return f"⟨{number}⟩".encode()


def too_many() -> BadResponse:
    """The error of a response whose columns would take far more memory than any answer's."""
    return BadResponse("The response has more positions and alternatives than any answer.", "Open the response itself.")


def to_tokens(
    found: Positions, chosen_ids: Ints, k: int, vocabulary: Vocabulary | None, kinds: NDArray[np.uint8] | None = None
) -> Tokens:
    """The tokens at these positions.

    chosen_ids: int32[n], the id at a place whose entry is not known or that has none, -1 where that is unknown, too.
    k: alternatives kept; the chosen token counts among them where it is likely enough. Where no entry is chosen, all
    of them are kept as alternatives, whatever k is, and the place is unscored.
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
    if not within_bounds((tokens,)):  # before anything spells them out
        raise too_many()
    return tokens


def order(found: Positions) -> NDArray[np.intp]:
    """The entries of each position best first; of equals the chosen one first, then as sent."""
    several, width = found.counts, int(found.counts.max(initial=0))
    leads = (found.chosen < 0) | (found.chosen == found.offsets[:-1])
    if leads.all() and len(several) * width <= 4 * len(found.ids) + 64:
        # As sent the chosen entry is the first already: a stable sort of each row, which is quicker, keeps it so.
        places = found.offsets[:-1, None] + np.arange(width)
        inside = np.arange(width) < several[:, None]
        keys = np.where(inside, -found.logprobs[np.where(inside, places, 0)], np.nan) if width else places
        ranked = np.argsort(keys, axis=1, kind="stable")
        # What lies outside sorts with the NaNs, at the end and after them.
        return np.take_along_axis(places, ranked, axis=1)[inside].astype(np.intp)
    first = np.ones(len(found.ids), bool)
    first[found.chosen[found.chosen >= 0]] = False
    # NaN sorts last by itself.
    return np.lexsort((first, -found.logprobs, found.rows))


def _listed(found: Positions, refs: Ints, k: int) -> tuple[Ints, Floats]:
    """The columns of alternatives, best first."""
    ranked = order(found)
    counts = found.counts
    column = positions(np.zeros(len(counts), np.int32), counts)
    rows = found.rows
    undecided = found.chosen[rows] < 0
    # The chosen token comes with the list whether or not it belongs there: it does if its rank says so.
    chosen = np.zeros(len(found.ids), bool)
    chosen[found.chosen[found.chosen >= 0]] = True
    own = chosen[ranked]
    # Another token of the same looks cannot be told from it, and would pass for it.
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
