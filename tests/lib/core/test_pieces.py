from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.pieces import EMPTY, Pieces, gather, make_pieces, offsets_of, positions, unite
from tests.support.strategies import Entry, entries, table_of


def rows_of(pieces: Pieces) -> list[Entry]:
    return [(int(pieces.ids[row]), pieces.bytes_of(row), bool(pieces.special[row])) for row in range(len(pieces))]


def everything(pieces: Pieces) -> np.ndarray:
    return np.ones(len(pieces), bool)


@given(entries())
def test_a_table_holds_what_it_was_made_of(rows: list[Entry]) -> None:
    assert rows_of(make_pieces(rows)) == rows


def test_nothing_known_is_no_bytes() -> None:
    assert table_of("a").bytes_of(-1) == b""
    assert len(EMPTY) == 0


def test_text_shows_bytes_that_are_no_character() -> None:
    assert table_of(b"a\xe2\x82", "é").texts == ["a\\xe2\\x82", "é"]


def test_select_keeps_the_order_asked_for() -> None:
    table = table_of("zero", "", "two", special=[2])
    assert rows_of(table.select(np.array([2, 1, 2], np.int32))) == [
        (2, b"two", True),
        (1, b"", False),
        (2, b"two", True),
    ]
    assert len(table.select(np.array([], np.int32))) == 0


def test_tables_are_equal_by_content() -> None:
    assert table_of("a", "b") == table_of("a", "b")
    assert table_of("a", "b") != table_of("ab", "")
    assert table_of("a") != table_of("a", special=[0])
    assert make_pieces([(1, b"a", False)]) != make_pieces([(2, b"a", False)])
    assert table_of("a") != "a"


@pytest.mark.parametrize("offsets", [[0, 1, 3], [1, 1, 2], [0, 2, 1, 2], [0, 2], [0, 3, 2]])
def test_offsets_that_do_not_fit_are_refused(offsets: list[int]) -> None:
    ids = np.arange(2)
    with pytest.raises(ValueError, match=r"offsets|shape"):
        Pieces(ids, np.array(offsets), np.zeros(2, np.uint8), np.zeros(2, bool))


def test_ids_below_minus_one_are_refused() -> None:
    with pytest.raises(ValueError, match="id is below -1"):
        make_pieces([(-2, b"a", False)])


@given(entries(), st.randoms(use_true_random=False))
def test_the_order_of_rows_leaves_no_trace(rows: list[Entry], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = make_pieces(rows), make_pieces(shuffled)
    assert unite([one], [everything(one)])[0] == unite([other], [everything(other)])[0]


@given(entries(), st.data())
def test_unite_gives_every_used_row_one_place_and_drops_the_rest(rows: list[Entry], data: st.DataObject) -> None:
    # The same rows dealt out to several tables, some of them to more than one.
    hands = [data.draw(st.lists(st.sampled_from(rows), unique=True)) if rows else [] for _ in range(3)]
    used = [
        np.array(data.draw(st.lists(st.booleans(), min_size=len(hand), max_size=len(hand))), bool) for hand in hands
    ]
    tables = [make_pieces(hand) for hand in hands]
    united, maps = unite(tables, used)

    wanted = {
        row for hand, mask in zip(hands, used, strict=True) for row, wanted in zip(hand, mask, strict=True) if wanted
    }
    literals = sorted((row for row in wanted if row[0] < 0), key=lambda row: row[1:])
    known = sorted(row for row in wanted if row[0] >= 0)
    assert rows_of(united) == [*literals, *known]
    for hand, mask, moves in zip(hands, used, maps, strict=True):
        after = rows_of(united)
        for row, is_used, new in zip(hand, mask, moves, strict=True):
            assert (after[new] == row) if is_used else (new == -1)


@pytest.mark.parametrize("other", [(3, b"b", False), (3, b"a", True), (3, b"", False)])
def test_tables_that_disagree_on_an_id_are_refused(other: Entry) -> None:
    one, two = make_pieces([(3, b"a", False), (5, b"c", False)]), make_pieces([other])
    with pytest.raises(ValueError, match="two different pieces"):
        unite([one, two], [everything(one), everything(two)])
    unite([one, two], [np.array([False, True]), everything(two)])  # what is not used does not matter


def test_no_tables_unite_to_an_empty_one() -> None:
    assert unite([EMPTY], [everything(EMPTY)])[0] == EMPTY


RUNS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=9)


@given(RUNS)
def test_positions_and_gather_are_the_runs_end_to_end(runs: list[tuple[int, int]]) -> None:
    starts, lengths = (np.array([run[i] for run in runs], np.int64) for i in (0, 1))
    expected = [start + step for start, length in runs for step in range(length)]
    assert positions(starts, lengths).tolist() == expected
    assert gather(np.arange(60, dtype=np.uint8), starts, lengths).tolist() == expected


def test_offsets_run_from_zero() -> None:
    assert offsets_of(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]
    assert offsets_of(np.array([], int)).tolist() == [0]
