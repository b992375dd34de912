from __future__ import annotations

import numpy as np
import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from lib.core.pieces import EMPTY, make_pieces
from lib.segmentation.cells import Cells, split
from lib.segmentation.char_classes import HIDDEN
from tests.support.strategies import HARD_BYTES, cut, table_of

CUTS = cut(HARD_BYTES)


def cells_of(*pieces: bytes | str, special: tuple[int, ...] = ()) -> Cells:
    return split(table_of(*pieces, special=special), np.arange(len(pieces), dtype=np.int32))


def shown(cells: Cells) -> list[str]:
    return [cells.text_of(cell) for cell in range(len(cells))]


def sizes(cells: Cells) -> list[int]:
    return np.diff(cells.first).tolist()


def expected_first(pieces: list[bytes]) -> list[int]:
    """Cell starts from the full text: token boundaries at the start of a grapheme or of a hidden character."""
    text = b"".join(pieces).decode("utf-8", "surrogateescape")
    ends = {0}
    for match in regex.finditer(r"\X", text):
        ends.add(len(text[: match.end()].encode("utf-8", "surrogateescape")))
    for match in HIDDEN.finditer(text):
        ends.add(len(text[: match.start()].encode("utf-8", "surrogateescape")))
    edges = np.cumsum([0, *map(len, pieces)]).tolist()
    inner = [token for token in range(1, len(pieces)) if edges[token] in ends]
    return [0, *inner, len(pieces)] if pieces else [0]


@given(CUTS)
@example([b"\r", b"\n"])
@example([b"e", "\u0301".encode(), b"\r\n"])
@example(["🇩🇪".encode()[:6], "🇩🇪".encode()[6:], "🇫".encode(), "🇷".encode()])
@example([b"a", b"", "\u0301".encode()])
@example(["क".encode(), "\u094d".encode(), "\u200d".encode(), "ष".encode()])
@example([b"a", "\u200d".encode(), "\u200c".encode(), "\u0301".encode(), "\U000e0073".encode()])
def test_cells_end_exactly_where_tokens_and_graphemes_both_end(pieces: list[bytes]) -> None:
    assert cells_of(*pieces).first.tolist() == expected_first(pieces)


@given(CUTS, st.data())
def test_no_byte_is_lost(pieces: list[bytes], data: st.DataObject) -> None:
    special = data.draw(st.sets(st.integers(0, len(pieces) - 1)))
    cells = cells_of(*pieces, special=tuple(special))
    assert cells.text.encode("utf-8", "surrogateescape") == b"".join(pieces)
    assert cells.starts[0] == 0
    assert cells.starts[-1] == len(cells.text)
    assert cells.first[-1] == len(pieces)


@given(CUTS)
def test_every_cell_holds_the_bytes_of_its_tokens(pieces: list[bytes]) -> None:
    cells = cells_of(*pieces)
    for cell in range(len(cells)):
        own = b"".join(pieces[cells.first[cell] : cells.first[cell + 1]])
        text = cells.text[cells.starts[cell] : cells.starts[cell + 1]]
        assert text.encode("utf-8", "surrogateescape") == own
        assert cells.broken[cell] == any(0xDC80 <= ord(letter) <= 0xDCFF for letter in text)
        assert cells.text_of(cell) == text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def test_no_tokens_are_no_cells() -> None:
    for pieces in (EMPTY, table_of("a")):
        cells = split(pieces, np.array([], np.int32))
        assert (len(cells), cells.text, cells.first.tolist(), cells.starts.tolist()) == (0, "", [0], [0])


def test_a_token_per_cell_in_plain_text() -> None:
    assert shown(cells_of("The", " quick", "  ", "\n", "\t", "漢", "字")) == [
        "The",
        " quick",
        "  ",
        "\n",
        "\t",
        "漢",
        "字",
    ]


def test_a_character_in_several_tokens_is_one_cell() -> None:
    cells = cells_of("a", b"\xf0\x9f", b"\x98", b"\x80", "b")
    assert shown(cells) == ["a", "😀", "b"]
    assert sizes(cells) == [1, 3, 1]
    assert not cells.broken.any()


@pytest.mark.parametrize(
    "cluster",
    [
        "e\u0301",
        "👨\u200d👩\u200d👧",
        "👍🏽",
        "🇩🇪",
        "\u1112\u1161\u11ab",
        "क्षि",
        "กำ",
        "\r\n",
        "🏳\ufe0f\u200d🌈",
        "\u0600\u0661",
    ],
)
def test_a_grapheme_in_several_tokens_is_one_cell(cluster: str) -> None:
    cells = cells_of("a", *cluster, "b")
    assert shown(cells) == ["a", cluster, "b"]
    assert sizes(cells) == [1, len(cluster), 1]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("K\U000e0073\U000e0061y", ["K", "\U000e0073", "\U000e0061", "y"]),
        ("😀\U000e0101\U000e0102", ["😀", "\U000e0101", "\U000e0102"]),
        ("a\u200db\u200c\u200d", ["a", "\u200d", "b", "\u200c", "\u200d"]),
        ("e\u034f\u0301", ["e", "\u034f\u0301"]),
        ("\u1112\u1160\u11ab", ["\u1112", "\u1160\u11ab"]),
        ("x\ufe0f1\ufe0f\u20e3", ["x", "\ufe0f", "1\ufe0f\u20e3"]),
        ("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", None),
        ("🏳\ufe0f\u200d🌈", None),
        ("ی\u200c", None),
        ("ක\u0dca\u200d", None),
        ("\u1820\u180b", None),
    ],
)
def test_what_is_hidden_is_a_cell_of_its_own_but_not_what_shapes_a_sign(text: str, cells: list[str] | None) -> None:
    assert shown(cells_of(*text)) == (cells or [text])


def test_flags_pair_up_from_their_first() -> None:
    assert shown(cells_of(*"🇩🇪🇫🇷🇮")) == ["🇩🇪", "🇫🇷", "🇮"]


def test_bytes_that_are_no_character_are_shown_as_numbers() -> None:
    cells = cells_of("a", b"\xff", b"\xe2\x82", " b")
    assert shown(cells) == ["a", "\\xff", "\\xe2\\x82", " b"]
    assert cells.broken.tolist() == [False, True, True, False]


def test_special_tokens_are_cells_of_their_own() -> None:
    cells = cells_of("<s>", "\u0301", "e", "<s>", "\u0301", "\r", "</s>", "\n", special=(0, 3, 6))
    assert shown(cells) == ["<s>", "\u0301", "e", "<s>", "\u0301", "\r", "</s>", "\n"]


def test_a_special_token_cuts_a_character_in_two() -> None:
    assert shown(cells_of(b"\xe2\x82", "<s>", b"\xac", special=(1,))) == ["\\xe2\\x82", "<s>", "\\xac"]


def test_two_special_tokens_in_a_row() -> None:
    assert sizes(cells_of("<s>", "<s>", "a", special=(0, 1))) == [1, 1, 1]


def test_empty_pieces_and_unknown_tokens_are_empty_cells_outside_a_grapheme() -> None:
    assert shown(cells_of("a", "", "b", "")) == ["a", "", "b", ""]
    assert shown(cells_of("e", "", "\u0301")) == ["e\u0301"]
    unknown = split(table_of("a", "<s>", special=[0]), np.array([-1, 1, -1, 0, -1], np.int32))
    assert shown(unknown) == ["", "<s>", "", "a", ""]
    assert shown(split(EMPTY, np.array([-1, -1], np.int32))) == ["", ""]


def test_leading_spaces_are_kept() -> None:
    assert cells_of(" Hello", " world").text == " Hello world"


def test_the_same_piece_may_come_again() -> None:
    pieces = make_pieces([(4, "é".encode(), False), (9, b"x", False)])
    cells = split(pieces, np.array([1, 0, 1, 0], np.int32))
    assert shown(cells) == ["x", "é", "x", "é"]
    assert cells.starts.dtype == cells.first.dtype == np.int32
