"""Prompt lookup: drafts are what followed the same few tokens, and stay within one text."""

from __future__ import annotations

from lib.engines.local.prompt_lookup import MAX_DRAFT, PromptLookup


def test_drafts_what_followed_in_the_earlier_text() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [1, 2, 3])
    assert lookup.draft() == [4, 5, 6, 7, 8, 9, 10]
    assert len(lookup.draft()) == MAX_DRAFT
    assert lookup.draft(2) == [4, 5]


def test_prefers_a_longer_context_to_a_later_position() -> None:
    assert PromptLookup([1, 2, 3, 4, 9, 9, 2, 3, 5, 9], [1, 2, 3]).draft(1) == [4]
    assert PromptLookup([1, 2, 3, 4, 9, 9, 2, 3, 5, 9], [7, 2, 3]).draft(1) == [5]


def test_drafts_nothing_after_new_tokens() -> None:
    assert PromptLookup([1, 2], [3]).draft() == []
    assert PromptLookup([], []).draft() == []


def test_a_draft_ends_with_the_earlier_text() -> None:
    assert PromptLookup([1, 2, 3], [2]).draft() == [3]
    assert PromptLookup([1, 2, 3], [3]).draft() == []


def test_looks_in_the_generated_text_too() -> None:
    lookup = PromptLookup([], [5, 6, 7])
    lookup.add(5)
    assert lookup.draft(2) == [6, 7]
