from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given

from lib.errors import InvalidPattern
from lib.segmentation.cells import Cells, split
from lib.segmentation.groups import LONGEST, TIME_LIMIT, Groups, matches, matches_in, wordy
from tests.support.strategies import HARD_BYTES, cut, tokens_of


def cells_of(*pieces: str | bytes) -> Cells:
    tokens = tokens_of(*pieces)
    return split(tokens.pieces, tokens.refs)


def groups_of(*pieces: str | bytes, special: tuple[int, ...] = ()) -> Groups:
    cells = cells_of(*pieces)
    return Groups(cells, np.isin(np.arange(len(cells)), special))


def joined(begins: np.ndarray, *pieces: str) -> list[str]:
    """The texts of the groups with these start flags."""
    starts = [*np.flatnonzero(begins).tolist(), len(pieces)]
    return ["".join(pieces[a:b]) for a, b in pairwise(starts)]


def words(*pieces: str) -> list[str]:
    return joined(groups_of(*pieces).words, *pieces)


def sentences(*pieces: str) -> list[str]:
    return joined(groups_of(*pieces).sentences, *pieces)


def test_a_word_is_made_of_its_tokens() -> None:
    assert words("The", " cap", "it", "al", " of", " France", ".") == ["The", " capital", " of", " France", "."]
    assert words("It", " is", " 3", ".", "14", ",", " don", "'", "t") == ["It", " is", " 3.14", ",", " don't"]
    assert words("a", " ", " b") == ["a", " ", " b"]


def test_a_token_that_spans_words_belongs_to_the_first() -> None:
    assert words("x", "(y):", " z") == ["x", "(y):", " z"]
    assert words("y", "),", "z") == ["y", "),", "z"]


def test_languages_without_spaces() -> None:
    assert words("世界", "人民", "。") == ["世界", "人民", "。"]
    assert words("カタ", "カナ", "の") == ["カタカナ", "の"]


def test_sentences() -> None:
    assert sentences("He", " left", ".", " She", " did", " not", "!", " Why", "?") == [
        "He left.",
        " She did not!",
        " Why?",
    ]
    assert sentences("At", " 3", ".", "14", " p", ".", "m", ".", " or", " so", ".") == ["At 3.14 p.m. or so."]
    assert sentences("He", " said", ":", " “", "Go", "!", "”", " She", " went", ".") == ["He said: “Go!”", " She went."]
    assert sentences("好", "。", "是", "吗", "？", "对") == ["好。", "是吗？", "对"]
    assert sentences("Title", "\n\n", "Text", " here") == ["Title\n\n", "Text here"]


def test_control_tokens_stand_alone() -> None:
    found = groups_of("<s>", "user", "\n", special=(0,))
    assert found.words.tolist() == [True, True, True]
    assert found.sentences.tolist() == [True, True, False]


def test_lines_end_with_their_line_break() -> None:
    pieces = ("a", " b", "\n", "c", "\n", "\n", "d\n", "  e", "\n\n", "f")
    assert joined(groups_of(*pieces).lines, *pieces) == ["a b\n", "c\n", "\n", "d\n", "  e\n\n", "f"]


def test_a_long_line_is_cut_at_a_word() -> None:
    syllables = ["ab", "cd", " ef"] * 1500
    lines = np.flatnonzero(groups_of(*syllables).lines)
    assert lines.tolist() == [0, 1001, 2003, 3005, 4007]  # each at the first word after 1,000 cells
    assert all(syllables[line] == " ef" for line in lines[1:])
    blob = groups_of(*(["ab"] * 3000))
    assert np.flatnonzero(blob.lines).tolist() == [0, 1200, 2400]
    assert LONGEST == 1000


@given(cut(HARD_BYTES))
def test_lines_begin_sentences_and_sentences_words(pieces: list[bytes]) -> None:
    cells = cells_of(*pieces)
    found = Groups(cells, np.zeros(len(cells), bool))
    assert (found.words | ~found.sentences).all()
    assert (found.sentences | ~found.lines).all()
    assert len(found.words) == len(found.lines) == len(cells)
    assert not len(cells) or found.lines[0]


def test_words_with_letters_or_digits() -> None:
    cells = cells_of("A", "…", " 7", "é", " <s>", "\n", "漢")
    first = np.arange(len(cells))
    special = np.array([False, False, False, False, True, False, False])
    assert wordy(cells, first, special).tolist() == [True, False, True, True, False, False, True]
    assert wordy(cells, np.array([0, 4]), special).tolist() == [True, False]
    assert wordy(cells_of(), np.array([], int), np.zeros(0, bool)).tolist() == []


def test_matches_take_whole_cells() -> None:
    cells = cells_of("It", " is", " 3", ".", "14", "15 or", " 2")
    assert matches(cells, r"\d[\d.]*") == [(2, 6), (6, 7)]
    assert matches(cells, "t i") == [(0, 2)]
    assert matches(cells, r"It|is") == [(0, 1), (1, 2)]
    assert matches(cells, "I|t") == [(0, 1)]  # both in one cell, which belongs to the first
    assert matches(cells, "x*") == []
    assert matches(cells_of(), "a") == []


@pytest.mark.parametrize(
    ("pattern", "cause"),
    [
        ("(", "Invalid regular expression"),
        ("[z-a]", "Invalid regular expression"),
        ("*", "Invalid regular expression"),
        ("a" * 501, "longer than 500"),
        ("(((a{1000}){1000}){1000}){1000}", "repeats"),  # would fill the memory when it is compiled
        ("(a{0}b{50000})", "repeats"),
        ("(?x)a{10 00}{1000}", "verbose"),
        ("(?ix:a)", "verbose"),
    ],
)
def test_a_pattern_that_cannot_be_used(pattern: str, cause: str) -> None:
    with pytest.raises(InvalidPattern, match=cause) as caught:
        matches(cells_of("a"), pattern)
    assert caught.value.remedy.endswith(".")


@pytest.mark.parametrize("pattern", ["^(?:a|aa)+$", "((?R))"])
def test_a_pattern_that_takes_too_long_is_stopped(pattern: str) -> None:
    parts = (cells_of(*(["a"] * 130), "c"), cells_of("a"))
    began = time.monotonic()
    with pytest.raises(InvalidPattern, match="longer than 200 ms"):
        matches_in(parts, pattern)
    assert time.monotonic() - began < 10 * TIME_LIMIT
