"""Diffs of two texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lib.segmentation.text_diff import Change, Piece, changes


def test_words_and_not_places() -> None:
    assert changes("Answer the question.", "You are kind. Answer the hard question.") == (
        Piece(Change.ADDED, "You are kind. "),
        Piece(Change.SAME, "Answer the "),
        Piece(Change.ADDED, "hard "),
        Piece(Change.SAME, "question."),
    )
    assert changes("東京へ", "京都へ")[-1] == Piece(Change.SAME, "へ")
    assert changes("", "") == ()
    assert changes("a", "b") == (Piece(Change.REMOVED, "a"), Piece(Change.ADDED, "b"))


@given(st.text("ab \n.京", max_size=20), st.text("ab \n.京", max_size=20))
def test_both_texts_are_in_it(before: str, after: str) -> None:
    found = changes(before, after)
    assert "".join(each.text for each in found if each.change is not Change.ADDED) == before
    assert "".join(each.text for each in found if each.change is not Change.REMOVED) == after
