"""Scored tokens as columns: ids, logprobs, ranks and the alternatives of each position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cached_property
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from lib.core.arrays import frozen, same_bits
from lib.core.pieces import EMPTY, Ints, Pieces, unite

Floats = NDArray[np.float32]

_ROUNDING = 0.01  # nats; half-precision logits may lift a logprob this far above 0

# Limits for completions read from files and services.
MOST_LISTED = 100  # alternatives per position; no service lists more than 20
MOST_SPELLED = 32_000_000  # bytes of all tokens' text
MOST_CELLS = 32_000_000  # positions times alternatives


class TokenKind(IntEnum):
    """The role of a token. By default, an answer's scores include only `TEXT` and `TOOL`."""

    TEXT = 0
    SPECIAL = 1  # a control token of the vocabulary, such as a chat role marker
    STOP = 2  # ended the generation; not part of the returned text
    REASONING = 3  # reasoning before the answer, <think> markers included
    TOOL = 4  # part of a tool call
    IMAGE = 5  # a placeholder for image input
    FORCED = 6  # put into the answer by the user, not chosen by the model


@dataclass(frozen=True, eq=False)
class Tokens:
    """`n` tokens, each with its `k` most likely alternatives. Raises ValueError if the columns do not fit together."""

    refs: Ints  # int32[n], rows of `pieces`; -1 for a token that is unknown
    logprobs: Floats  # float32[n], nats, before temperature unless the completion's scale says otherwise; NaN: unscored
    ranks: Ints  # int32[n], 1 + the number of tokens with a strictly larger logit; -1: unknown
    top_refs: Ints  # int32[n, k], rows of `pieces`, best first; -1 past the end of a shorter list
    top_logprobs: Floats  # float32[n, k], nats, best first; NaN past the end of a shorter list
    kinds: NDArray[np.uint8]  # uint8[n] of `TokenKind`
    pieces: Pieces  # the table that refs point into

    def __post_init__(self) -> None:
        n = len(self.refs)
        k = self.top_refs.shape[1] if np.ndim(self.top_refs) == 2 else 0
        for name, dtype, shape in (
            ("refs", np.int32, (n,)),
            ("logprobs", np.float32, (n,)),
            ("ranks", np.int32, (n,)),
            ("top_refs", np.int32, (n, k)),
            ("top_logprobs", np.float32, (n, k)),
            ("kinds", np.uint8, (n,)),
        ):
            object.__setattr__(self, name, frozen(getattr(self, name), dtype, shape))
        if n == 0:
            return
        for refs in (self.refs, self.top_refs):
            if refs.size and (refs.min() < -1 or refs.max() >= len(self.pieces)):
                raise ValueError("a ref is outside the piece table")
        if self.kinds.max(initial=0) > max(TokenKind):
            raise ValueError("a token has an unknown kind")
        if (self.ranks == 0).any() or self.ranks.min(initial=-1) < -1:
            raise ValueError("ranks start at 1; -1 means unknown")
        for logprobs in (self.logprobs, self.top_logprobs):
            if (logprobs > _ROUNDING).any():
                raise ValueError("a logprob is above 0")

    def __len__(self) -> int:
        return len(self.refs)

    @property
    def k(self) -> int:
        """The number of alternatives per position."""
        return int(self.top_refs.shape[1])

    @property
    def ids(self) -> Ints:
        """int32[n]: vocabulary ids; -1 if only a string, or nothing, is known."""
        return ids_at(self.pieces, self.refs)

    @cached_property
    def by_place(self) -> NDArray[np.float64]:
        """float64[k, n]: probabilities of the alternatives by place in the list; NaN past the end of a shorter list.

        Cached because most scores start from it; transposed because numpy is faster along long rows.
        """
        shares = np.exp(np.ascontiguousarray(self.top_logprobs.T).astype(np.float64))
        shares.flags.writeable = False
        return shares

    @property
    def top_ids(self) -> Ints:
        """int32[n, k]: ids of the alternatives; -1 if unknown or absent."""
        return ids_at(self.pieces, self.top_refs)

    def __getitem__(self, rows: slice | NDArray[np.bool_]) -> Tokens:
        """The selected rows, sharing the piece table."""
        return _valid(self.pieces, {name: np.ascontiguousarray(getattr(self, name)[rows]) for name in _COLUMNS})

    def with_kinds(self, kinds: NDArray[np.uint8]) -> Tokens:
        """The same tokens with other kinds: uint8[n]. Raises ValueError if the lengths differ."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        return _valid(self.pieces, columns | {"kinds": frozen(kinds, np.uint8, (len(self),))})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokens):
            return NotImplemented
        return self.pieces == other.pieces and all(
            same_bits(getattr(self, name), getattr(other, name)) for name in _COLUMNS
        )

    __hash__ = None  # type: ignore[assignment]


def ids_at(pieces: Pieces, refs: Ints) -> Ints:
    """The ids of `refs`, in the same shape; -1 for ref -1."""
    if len(pieces) == 0:
        return np.full(refs.shape, -1, np.int32)
    return np.where(refs >= 0, pieces.ids[refs], np.int32(-1))


class Columns(TypedDict, total=False):
    """Columns of tokens that may be unknown; see `Tokens`."""

    logprobs: Floats | None
    ranks: Ints | None
    top_refs: Ints | None
    top_logprobs: Floats | None
    kinds: NDArray[np.uint8] | None


def make_tokens(pieces: Pieces, refs: Ints, **columns: Unpack[Columns]) -> Tokens:
    """Build tokens from some columns. The others are unknown (NaN, -1); kinds default to plain text."""
    n = len(refs)
    unknown: dict[str, NDArray[Any]] = {
        "logprobs": np.full(n, np.nan, np.float32),
        "ranks": np.full(n, -1, np.int32),
        "top_refs": np.empty((n, 0), np.int32),
        "top_logprobs": np.empty((n, 0), np.float32),
        "kinds": np.zeros(n, np.uint8),
    }
    unknown |= {name: each for name, each in columns.items() if isinstance(each, np.ndarray)}
    return Tokens(refs=refs, pieces=pieces, **unknown)


NO_TOKENS = make_tokens(EMPTY, np.empty(0, np.int32))


def on_one_table(parts: Sequence[Tokens]) -> list[Tokens]:
    """The same tokens on one canonical piece table that holds exactly the pieces they use."""
    tables: dict[int, Pieces] = {id(part.pieces): part.pieces for part in parts}
    used = {key: np.zeros(len(table), bool) for key, table in tables.items()}
    for part in parts:
        mask = used[id(part.pieces)]
        for refs in (part.refs, part.top_refs) if len(part) else ():
            mask[refs[refs >= 0]] = True
    if len(tables) == 1 and parts[0].pieces.in_order and next(iter(used.values())).all():
        return list(parts)  # they already share one
    table, row_maps = unite(list(tables.values()), list(used.values()))
    # A spare last row makes ref -1 map to -1 by ordinary indexing.
    moves = {key: np.append(rows, np.int32(-1)) for key, rows in zip(tables, row_maps, strict=True)}
    moved = []
    for part in parts:
        move = moves[id(part.pieces)]
        columns = {name: getattr(part, name) for name in _COLUMNS}
        columns |= {"refs": move[part.refs], "top_refs": move[part.top_refs]}
        moved.append(_valid(table, columns))
    return moved


def _valid(pieces: Pieces, columns: dict[str, NDArray[Any]]) -> Tokens:
    """Build tokens without checks, from valid columns that no one else writes to."""
    made = object.__new__(Tokens)
    object.__setattr__(made, "pieces", pieces)
    for name, column in columns.items():
        column.flags.writeable = False
        object.__setattr__(made, name, column)
    return made


def cells_of(parts: Sequence[Tokens]) -> int:
    """Positions times alternatives of the concatenated parts."""
    return sum(map(len, parts)) * max(1, max((part.k for part in parts), default=0))


def within_bounds(parts: Sequence[Tokens]) -> bool:
    """Whether tokens from a file or service are small enough to concatenate, which pads all lists to the longest."""
    if any(part.k > MOST_LISTED for part in parts) or cells_of(parts) > MOST_CELLS:
        return False
    if sum(len(part.pieces.data) * (part.refs.size + part.top_refs.size) for part in parts) <= MOST_SPELLED:
        return True  # even if each ref were to all pieces at once
    return sum(_spelled(part, part.refs) for part in parts) <= MOST_SPELLED and all(
        _spelled(part, part.top_refs) <= 8 * MOST_SPELLED for part in parts
    )


def _spelled(part: Tokens, refs: Ints) -> int:
    """Total bytes of the pieces referred to, repeats included: a file may refer to one long piece very often."""
    lengths = np.diff(part.pieces.offsets).astype(np.int64)
    most = int(lengths.max(initial=0)) * refs.size
    return most if most <= MOST_SPELLED else int(lengths[refs[refs >= 0]].sum())


def concatenate(parts: Sequence[Tokens]) -> Tokens:
    """Concatenate tokens on one canonical table. Shorter lists of alternatives are padded to the longest."""
    if not parts:
        return NO_TOKENS
    parts = on_one_table(parts)
    k = max(part.k for part in parts)
    return Tokens(
        refs=np.concatenate([part.refs for part in parts]),
        logprobs=np.concatenate([part.logprobs for part in parts]),
        ranks=np.concatenate([part.ranks for part in parts]),
        kinds=np.concatenate([part.kinds for part in parts]),
        top_refs=np.concatenate([_widened(part.top_refs, k, -1) for part in parts]),
        top_logprobs=np.concatenate([_widened(part.top_logprobs, k, np.nan) for part in parts]),
        pieces=parts[0].pieces,
    )


def _widened(column: NDArray[Any], k: int, filler: float) -> NDArray[Any]:
    return np.pad(column, ((0, 0), (0, k - column.shape[1])), constant_values=filler)


_COLUMNS = tuple(field.name for field in fields(Tokens) if field.name != "pieces")
