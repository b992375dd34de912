"""Drafts: what followed the same few tokens before, and never across the end of the text that was before."""

from __future__ import annotations

from lib.engines.local.prompt_lookup import LONGEST, Drafts


def test_what_followed_before_is_the_draft() -> None:
    drafts = Drafts([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [1, 2, 3])
    assert drafts.next() == [4, 5, 6, 7, 8, 9, 10]
    assert len(drafts.next()) == LONGEST
    assert drafts.next(2) == [4, 5]


def test_a_longer_context_goes_before_a_later_place() -> None:
    assert Drafts([1, 2, 3, 4, 9, 9, 2, 3, 5, 9], [1, 2, 3]).next(1) == [4]
    assert Drafts([1, 2, 3, 4, 9, 9, 2, 3, 5, 9], [7, 2, 3]).next(1) == [5]


def test_nothing_is_drafted_from_what_never_stood_there() -> None:
    assert Drafts([1, 2], [3]).next() == []
    assert Drafts([], []).next() == []


def test_a_draft_does_not_go_on_into_what_is_being_written() -> None:
    assert Drafts([1, 2, 3], [2]).next() == [3]
    assert Drafts([1, 2, 3], [3]).next() == []


def test_what_is_being_written_is_looked_up_too() -> None:
    drafts = Drafts([], [5, 6, 7])
    drafts.add(5)
    assert drafts.next(2) == [6, 7]
