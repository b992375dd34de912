from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.pieces import make_pieces
from lib.core.tokens import NO_TOKENS, TokenKind, Tokens, concatenate, make_tokens, on_one_table
from tests.support import strategies
from tests.support.strategies import INF, NAN, column, entries, table_of, tokens_of, tokens_on


def contents(tokens: Tokens) -> list[tuple]:
    """Every token's values without refs into a table; NaN as None."""

    def entry(ref: int, logprob: float) -> tuple:
        known = int(tokens.pieces.ids[ref]) if ref >= 0 else None
        special = bool(tokens.pieces.special[ref]) if ref >= 0 else None
        return known, tokens.pieces.bytes_of(ref), special, None if math.isnan(logprob) else logprob

    return [
        (
            entry(tokens.refs[row], float(tokens.logprobs[row])),
            int(tokens.ranks[row]),
            int(tokens.kinds[row]),
            [entry(*pair) for pair in zip(tokens.top_refs[row], tokens.top_logprobs[row].tolist(), strict=True)],
        )
        for row in range(len(tokens))
    ]


def test_what_is_left_out_is_missing_not_zero() -> None:
    tokens = tokens_of("a", "b")
    assert np.isnan(tokens.logprobs).all()
    assert tokens.ranks.tolist() == [-1, -1]
    assert tokens.kinds.tolist() == [TokenKind.TEXT, TokenKind.TEXT]
    assert tokens.k == 0
    assert tokens_on(table_of("a"), [-1]).ids.tolist() == [-1]
    assert tokens_on(
        strategies.table_of(), [-1, -1], top_refs=[[-1], [-1]], top_logprobs=[[NAN], [NAN]]
    ).top_ids.tolist() == [
        [-1],
        [-1],
    ]


def test_ids_come_from_the_table_and_literals_have_none() -> None:
    pieces = make_pieces([(-1, b"lit", False), (7, b"a", False)])
    tokens = tokens_on(pieces, [1, 0, -1], top_refs=[[0, 1], [1, -1], [-1, -1]], top_logprobs=np.zeros((3, 2)))
    assert tokens.ids.tolist() == [7, -1, -1]
    assert tokens.top_ids.tolist() == [[-1, 7], [7, -1], [-1, -1]]


COLUMNS = {
    "refs": column([0, 1], np.int32),
    "logprobs": column([-1, -2]),
    "ranks": column([1, 2], np.int32),
    "top_refs": column([[0], [1]], np.int32),
    "top_logprobs": column([[-1], [-2]]),
    "kinds": column([0, 0], np.uint8),
}


def test_columns_are_read_only_and_the_callers_arrays_do_not_leak_in() -> None:
    mine = {name: values.copy() for name, values in COLUMNS.items()}
    tokens = Tokens(**mine, pieces=table_of("a", "b"))
    before = contents(tokens)
    for values in mine.values():
        values[...] = 1
    assert contents(tokens) == before
    for name in mine:
        with pytest.raises(ValueError, match="read-only"):
            getattr(tokens, name)[...] = 0
    with pytest.raises(FrozenInstanceError):
        tokens.refs = mine["refs"]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("refs", [0, 1, 0]),
        ("refs", [[0, 1]]),
        ("refs", [0, 2]),
        ("refs", [-2, 0]),
        ("logprobs", [-1]),
        ("logprobs", [[-1, -2]]),
        ("logprobs", [-1, 0.5]),
        ("logprobs", [-1, INF]),
        ("ranks", [1, 2, 3]),
        ("ranks", [1, 0]),
        ("ranks", [1, -2]),
        ("top_refs", [0, 1]),
        ("top_refs", [[0, 0], [1, 1]]),
        ("top_refs", [[0], [2]]),
        ("top_refs", [[0], [-2]]),
        ("top_logprobs", [[-1, -1], [-1, -1]]),
        ("top_logprobs", [[-1], [INF]]),
        ("kinds", [0]),
        ("kinds", [0, 7]),
    ],
)
def test_columns_that_do_not_fit_are_refused(name: str, values: list) -> None:
    changed = {**COLUMNS, name: column(values, COLUMNS[name].dtype)}
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ from column to column
        Tokens(**changed, pieces=table_of("a", "b"))


def test_rounding_may_lift_a_logprob_above_zero() -> None:
    assert tokens_of("a", logprobs=[1e-7]).logprobs[0] > 0


def test_equality_is_of_bits() -> None:
    def with_logprob(value: float) -> Tokens:
        return tokens_of("a", logprobs=[value])

    assert with_logprob(NAN) == with_logprob(NAN)
    assert with_logprob(0.0) != with_logprob(-0.0)
    assert with_logprob(-INF) == with_logprob(-INF)
    assert with_logprob(-1) != with_logprob(np.nextafter(np.float32(-1), np.float32(0)))
    assert with_logprob(-1) != "a"


@pytest.mark.parametrize("name", list(COLUMNS))
def test_every_column_counts_in_equality(name: str) -> None:
    other = {**COLUMNS, name: COLUMNS[name][::-1] if name != "kinds" else column([0, 1], np.uint8)}
    pieces = table_of("a", "b")
    assert Tokens(**COLUMNS, pieces=pieces) == Tokens(**COLUMNS, pieces=table_of("a", "b"))
    assert Tokens(**COLUMNS, pieces=pieces) != Tokens(**other, pieces=pieces)
    assert Tokens(**COLUMNS, pieces=pieces) != Tokens(**COLUMNS, pieces=table_of("a", "c"))


def test_mutable_meaning_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(NO_TOKENS)


def test_rows_are_taken_by_slice_and_by_mask() -> None:
    tokens = Tokens(**COLUMNS, pieces=table_of("a", "b"))
    assert contents(tokens[1:]) == contents(tokens)[1:]
    assert contents(tokens[np.array([True, False])]) == contents(tokens)[:1]
    assert tokens[1:].pieces is tokens.pieces
    assert tokens[:0].k == 1


@st.composite
def two_parts(draw: st.DrawFn) -> list[Tokens]:
    """Tokens on separate piece tables that agree about every id."""
    rows = draw(entries(least=1))
    tables = [make_pieces(draw(st.permutations(rows))) for _ in range(2)]
    return [draw(strategies.tokens(table)) for table in tables]


@given(two_parts())
def test_moving_to_one_table_changes_nothing_but_the_references(parts: list[Tokens]) -> None:
    moved = on_one_table(parts)
    assert [contents(part) for part in moved] == [contents(part) for part in parts]
    assert moved[0].pieces is moved[1].pieces
    used = {int(ref) for part in moved for refs in (part.refs, part.top_refs) for ref in refs.flat if ref >= 0}
    assert used == set(range(len(moved[0].pieces)))


@given(two_parts())
def test_moving_is_settled_after_once(parts: list[Tokens]) -> None:
    once = on_one_table(parts)
    assert on_one_table(once) == once


@given(two_parts())
def test_concatenation_keeps_every_token_and_pads_the_lists(parts: list[Tokens]) -> None:
    joined = concatenate(parts)
    k = max(part.k for part in parts)
    padding = (None, b"", None, None)
    expected = [
        (own, rank, kind, listed + [padding] * (k - len(listed)))
        for part in parts
        for own, rank, kind, listed in contents(part)
    ]
    assert contents(joined) == expected
    assert joined.k == k


def test_padding_is_missing_not_zero() -> None:
    short = tokens_of("a", logprobs=[-1])
    long = tokens_of("a", logprobs=[-1], top_refs=[[0]], top_logprobs=[[-1]])
    joined = concatenate([short, long])
    assert joined.top_refs.tolist() == [[-1], [0]]
    assert np.isnan(joined.top_logprobs[0, 0])


def test_concatenating_nothing() -> None:
    assert concatenate([]) == NO_TOKENS
    assert concatenate([NO_TOKENS, NO_TOKENS]) == NO_TOKENS


@given(two_parts(), st.integers(0, 6))
def test_concatenation_undoes_slicing(parts: list[Tokens], place: int) -> None:
    whole = concatenate(parts)
    assert concatenate([whole[:place], whole[place:]]) == whole


def test_make_tokens_equals_the_long_way() -> None:
    assert make_tokens(table_of("a", "b"), **COLUMNS) == Tokens(**COLUMNS, pieces=table_of("a", "b"))
    assert replace(NO_TOKENS) == NO_TOKENS
