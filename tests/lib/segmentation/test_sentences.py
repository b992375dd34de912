"""Sentences of prompts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lib.segmentation.sentences import MOST, Part, parts_of, without


def texts(text: str) -> list[str]:
    return [text[part.start : part.end] for part in parts_of(text)]


def test_sentences_with_what_follows_them() -> None:
    assert texts("You are kind. Answer briefly!  Why?\nNow: 3.5 apples\n\n---\nEnd") == [
        "You are kind. ",
        "Answer briefly!  ",
        "Why?\n",
        "Now: 3.5 apples\n\n---\n",
        "End",
    ]
    assert texts("東京はどこですか。日本です。") == ["東京はどこですか。", "日本です。"]
    assert texts("") == []
    assert texts("---") == ["---"]


def test_many_are_joined() -> None:
    assert len(parts_of("No. " * 1000)) <= MOST


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_together_they_are_the_text(text: str) -> None:
    parts = parts_of(text)
    assert "".join(texts(text)) == text
    for part in parts:
        assert without(text, part) == text[: part.start] + text[part.end :]
        assert part.start < part.end


def test_without() -> None:
    assert without("abc", Part(1, 2)) == "ac"
