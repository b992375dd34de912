"""Templates: filled in one pass, with the places of passage and question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contexts.prompting import (
    LONGEST,
    TEMPLATES,
    Order,
    check_template,
    closed_book,
    filled,
    joined_passages,
    order_of,
)
from lib.errors import InvalidRequest

PIECES = st.lists(st.sampled_from(["{passage}", "{question}", "{", "}", "{x}", "%s", "\\1", "Rome", "\n\n", " "])).map(
    "".join
)


@pytest.mark.parametrize("order", Order)
def test_what_is_put_in_is_never_filled_in_again(order: Order) -> None:
    assert order_of(TEMPLATES[order]) is order

    @given(PIECES, PIECES)
    def check(passage: str, question: str) -> None:
        found = filled(TEMPLATES[order], passage, question)
        assert found.text[slice(*found.passage)] == passage
        assert found.text[slice(*found.question)] == question
        before, between, after = TEMPLATES[order].replace("{passage}", "\0").replace("{question}", "\0").split("\0")
        first, second = (passage, question) if order is Order.PASSAGE_FIRST else (question, passage)
        assert found.text == before + first + between + second + after
        assert question in closed_book(TEMPLATES[order], question)

    check()


def test_the_closed_book_has_no_trace_of_a_passage() -> None:
    assert closed_book(TEMPLATES[Order.PASSAGE_FIRST], "Who?") == "Question: Who?\nAnswer:"
    assert closed_book(TEMPLATES[Order.QUESTION_FIRST], "Who?") == "Question: Who?\n\nAnswer:"
    assert closed_book("Text: {passage} Question: {question}", "{passage}") == "Text:  Question: {passage}"


@pytest.mark.parametrize(
    "template", ["", "{passage}", "{question}", "{passage}{question}{passage}", "{passage}{question}" + " " * LONGEST]
)
def test_a_template_needs_both_markers_once(template: str) -> None:
    with pytest.raises(InvalidRequest):
        check_template(template)


def test_several_passages_are_paragraphs() -> None:
    assert joined_passages(["a", "b"]) == "a\n\nb"
