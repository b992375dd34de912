"""The piece table: the bytes behind every token id that a completion uses.

A completion carries its own pieces, so displaying, exporting or storing it never needs a tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lib.core.arrays import frozen, same_bits

Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Pieces:
    """A table of `v` pieces in one byte buffer.

    Tokens refer to its rows ("refs"). Unlike an id, a row also exists for a literal string without an id.
    """

    ids: Ints  # int32[v]; -1 for a literal, whose piece is its UTF-8 bytes
    offsets: Ints  # int32[v + 1], byte offsets into `data`
    data: NDArray[np.uint8]  # all pieces, concatenated
    special: NDArray[np.bool_]  # bool[v], whether the piece is a control token

    def __post_init__(self) -> None:
        rows = len(self.ids)
        object.__setattr__(self, "ids", frozen(self.ids, np.int32, (rows,)))
        object.__setattr__(self, "offsets", frozen(self.offsets, np.int32, (rows + 1,)))
        object.__setattr__(self, "data", frozen(self.data, np.uint8, (len(self.data),)))
        object.__setattr__(self, "special", frozen(self.special, np.bool_, (rows,)))
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.data) or (self.offsets[1:] < self.offsets[:-1]).any():
            raise ValueError("piece offsets must rise from 0 to the length of the data")
        if self.ids.min(initial=-1) < -1:
            raise ValueError("an id is below -1")

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pieces):
            return NotImplemented
        return (
            same_bits(self.ids, other.ids)
            and same_bits(self.offsets, other.offsets)
            and same_bits(self.data, other.data)
            and same_bits(self.special, other.special)
        )

    __hash__ = None  # type: ignore[assignment]

    def bytes_of(self, ref: int) -> bytes:
        """The piece at row `ref`; empty for ref -1."""
        if ref < 0:
            return b""
        return self.data[self.offsets[ref] : self.offsets[ref + 1]].tobytes()

    def text_of(self, ref: int) -> str:
        r"""The piece as readable text. Bytes that do not form a complete character become ``\xNN``."""
        return self.bytes_of(ref).decode("utf-8", "backslashreplace")

    @cached_property
    def texts(self) -> list[str]:
        """`text_of` for every row."""
        return [self.text_of(row) for row in range(len(self))]

    @cached_property
    def in_order(self) -> bool:
        """Whether it holds only ids, sorted and unique. Such a table is canonical if all its rows are used."""
        return bool(self.ids.min(initial=0) >= 0 and (self.ids[1:] > self.ids[:-1]).all())

    def select(self, refs: Ints) -> Pieces:
        """A new table of the rows `refs`, in that order."""
        starts = self.offsets[refs]
        lengths = self.offsets[refs + 1] - starts
        return _valid(self.ids[refs], offsets_of(lengths), gather(self.data, starts, lengths), self.special[refs])


def _valid(ids: Ints, offsets: Ints, data: NDArray[np.uint8], special: NDArray[np.bool_]) -> Pieces:
    """Build a table without checks, from valid columns that no one else writes to."""
    made = object.__new__(Pieces)
    for name, column in (("ids", ids), ("offsets", offsets), ("data", data), ("special", special)):
        column.flags.writeable = False
        object.__setattr__(made, name, column)
    return made


def make_pieces(entries: Sequence[tuple[int, bytes, bool]]) -> Pieces:
    """Build a table from (id, bytes, special) rows, in the same order."""
    blobs = [blob for _, blob, _ in entries]
    return Pieces(
        np.array([number for number, _, _ in entries], np.int32),
        offsets_of(np.array([len(blob) for blob in blobs], np.int32)),
        np.frombuffer(b"".join(blobs), np.uint8),
        np.array([special for _, _, special in entries], bool),
    )


def unite(tables: Sequence[Pieces], used: Sequence[NDArray[np.bool_]]) -> tuple[Pieces, list[Ints]]:
    """Merge tables into one canonical table. Returns it with a map from old to new rows per table.

    Rows that are not `used` are dropped and map to -1. The result has no duplicates and is sorted: literals first, by
    their bytes, then ids. Equal contents therefore give equal tables, in whatever order they were merged.

    Raises ValueError if the tables disagree about an id.
    """
    everything = concatenate_pieces(tables)
    rows = np.flatnonzero(np.concatenate([*used, np.zeros(0, bool)])).astype(np.int32)
    ids = everything.ids[rows]
    literal, known = rows[ids < 0], rows[ids >= 0]

    content = {int(row): (everything.bytes_of(row), bool(everything.special[row])) for row in literal}
    first_of = {value: row for row, value in reversed(content.items())}
    literals = sorted(first_of)
    _, first, number = np.unique(everything.ids[known], return_index=True, return_inverse=True)
    if len(first) < len(known) and everything.select(known) != everything.select(known[first][number]):
        raise ValueError("two different pieces have the same id")

    new = np.full(len(everything), -1, np.int32)
    new[known] = number + len(literals)
    place = {value: i for i, value in enumerate(literals)}
    for row, value in content.items():
        new[row] = place[value]

    order = np.concatenate([np.array([first_of[value] for value in literals], np.int32), known[first]])
    return everything.select(order), np.split(new, np.cumsum([len(table) for table in tables])[:-1])


def concatenate_pieces(tables: Sequence[Pieces]) -> Pieces:
    """One table with the rows of all tables in order, duplicates included."""
    if len(tables) == 1:
        return tables[0]
    lengths = [np.diff(table.offsets) for table in tables]
    return _valid(
        np.concatenate([table.ids for table in tables]),
        offsets_of(np.concatenate(lengths)),
        np.concatenate([table.data for table in tables]),
        np.concatenate([table.special for table in tables]),
    )


def offsets_of(lengths: NDArray[np.integer]) -> Ints:
    """int32[n + 1]: running offsets of `lengths`, starting at 0."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def positions(starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.intp]:
    """The indices start, start + 1, … of every (start, length) run, concatenated."""
    if len(lengths) == 0:
        return np.empty(0, np.intp)
    before = offsets_of(lengths)
    return np.arange(before[-1], dtype=np.intp) + np.repeat(starts - before[:-1], lengths)


def gather(data: NDArray[np.uint8], starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The (start, length) runs of `data`, concatenated."""
    return data[positions(starts, lengths)]


EMPTY = make_pieces([])
