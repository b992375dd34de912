"""Values and words of sheets with their grades and scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lib.core.completion import Completion, StopReason
from lib.core.request import Request
from lib.doubts.graded import (
    GATES,
    Labelled,
    answer_level,
    listed_alternatives,
    span_level,
    spans_of,
    with_scores,
    word_grades,
    word_level,
)
from lib.doubts.sheets import Field, Sheet, sheets
from lib.doubts.words import words
from tests.support.scripted_engine import tokens_of
from tests.support.sheet_answers import WRONG, completion_of, logprobs_of, sheet_answer

PERU = Sheet(
    "peru", "country", "facts", "country: Peru", "design", "Peru is a country in", ("\n",),
    (
        Field("continent", "", ("South America",)),
        Field("capital", "Its capital is", ("Lima",)),
        Field("currency", "its currency is", ()),
        Field("language", "its people speak", ("Spanish",)),
    ),
)  # fmt: skip


def said(text: str, logprob: float = -0.5) -> Completion:
    return Completion(Request("x"), "m", tokens_of("x"), tokens_of(text, logprob), text, StopReason.STOP)


def test_a_value_has_its_own_tokens() -> None:
    sheet = sheets("design")[0]
    done = completion_of(sheet)
    text, wrong = sheet_answer(sheet)
    found = spans_of(sheet, done)
    assert {each.row.right for each in found} == {True, False}
    for each in found:
        first, last = int(each.terms.first[0]), int(each.terms.last[0])
        assert (first, last) == (each.span.start, each.span.end), "one token per character"
        assert ((first, last) in wrong) == (not each.row.right)
        assert (text[first:last] == WRONG) == (not each.row.right)
    level = span_level(found)
    sums = [logprobs_of(done, each.span.start, each.span.end).sum() for each in found]
    assert level.scores["sum"] == pytest.approx(np.array(sums), rel=1e-5)
    assert {each.template for each in level.rows} == {f"{sheet.template}: {each.span.field}" for each in found}


@pytest.mark.parametrize(
    ("text", "wrong", "left_out"),
    [
        (" South America. Its capital is Lima.", "", ""),
        (" Asia. Its capital is Quito City, its currency is the sol, and its people speak Spanish.",
         "Asia Quito City", "sol"),
        (" South America. Its capital is Quito. It is nice.", "Quito", "It is nice"),
        (" Asia, and its people speak Inca.", "Asia Inca", "and its people speak"),
        ("", "", ""),
        ("!", "", ""),
    ],
)  # fmt: skip
def test_which_words_are_wrong_and_which_do_not_count(text: str, wrong: str, left_out: str) -> None:
    found = words(said(text))
    right, kept = word_grades(PERU, found)
    named = [found.text_of(place) for place in range(len(found))]
    assert [each for each, fine in zip(named, right, strict=True) if not fine] == wrong.split()
    assert [each for each, counts in zip(named, kept, strict=True) if not counts] == left_out.split()


def test_words_that_a_gate_leaves_out_count_as_certain() -> None:
    level = word_level([PERU], [said(" Asia. Its capital is Lima.")])
    assert [each.right for each in level.rows] == [False, True, True, True, True]
    assert level.scores["sum, all words"] == pytest.approx([-2.0, -1.5, -3.5, -1.0, -2.0])
    only = level.scores["sum, terms only"]
    assert only[[0, 4]] == pytest.approx([-2.0, -2.0])
    assert only[1:4].min() > 1_000
    content = level.scores["sum, content words"]
    assert content[2] == pytest.approx(-3.5), "capital is no function word"
    assert content[[1, 3]].min() > 1_000
    assert {name.split(", ")[1] for name in level.scores} == set(GATES)


def test_a_method_that_needs_more_alternatives_is_left_out_with_its_reason() -> None:
    done = said(" Lima")
    assert listed_alternatives([done]) == 1
    level = answer_level("answers", [Labelled("a", "t", "e", True)], [done])
    assert level.scores["sum"] == pytest.approx([-2.5])
    assert "entropy" not in level.scores
    assert level.left_out["entropy"] == "needs 5 alternatives per position; there are 1"


def test_scores_of_another_library_are_found_by_id() -> None:
    level = answer_level("answers", [Labelled(each, "t", "e", True) for each in "ab"], [said(" x"), said(" y")])
    column = with_scores(level, "peer: p", {"b": 2.0, "c": 3.0}).scores["peer: p"]
    assert math.isnan(column[0])
    assert column[1] == 2.0
