"""Words and terms of answers: by example in many scripts, and laws that hold for any text."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.completion import Completion
from lib.core.tokens import TokenKind
from lib.doubts.words import Gate, Kind, Terms, terms, words
from tests.support.answers import answer_of
from tests.support.strategies import completions


def listed(found: Terms) -> list[tuple[str, Kind]]:
    return [(found.text_of(place), kind) for place, kind in enumerate(found.kinds)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "France is a country in Western Europe. Its capital is Paris, and it has 67.4 million people.",
            [("France", Kind.NAME), ("Western Europe", Kind.NAME), ("Paris", Kind.NAME), ("67.4 million", Kind.NUMBER)],
        ),
        ("J. K. Rowling wrote Harry Potter.", [("J. K. Rowling", Kind.NAME), ("Harry Potter", Kind.NAME)]),
        ("It is Lima. Peru, St. Louis", [("Lima", Kind.NAME), ("Peru", Kind.NAME), ("St. Louis", Kind.NAME)]),
        ("the Bay of Bengal and Vietnam", [("Bay of Bengal", Kind.NAME), ("Vietnam", Kind.NAME)]),
        ("on 5 May 1990, or 2024-05-17", [("5 May 1990", Kind.DATE), ("2024-05-17", Kind.DATE)]),
        ("in May 2020, March 3rd, 1999", [("May 2020", Kind.DATE), ("March 3rd, 1999", Kind.DATE)]),
        ("You may go. May I?", []),
        ("at 10:30 or 1,234.5", [("10:30", Kind.NUMBER), ("1,234.5", Kind.NUMBER)]),
        ("twelve of them", [("twelve", Kind.NUMBER)]),
        ("a “soft landing” and `os.path`", [("soft landing", Kind.QUOTED), ("os.path", Kind.QUOTED)]),
        ("He said: “This is a very long quotation of many words”", []),
        ("Economic growth is economic.", []),  # a capital for the beginning only
        ("Economic growth is good.", [("Economic", Kind.NAME)]),  # cannot be told from a name
        ("The answer: I'm sure.", []),
        ("- Berlin\n- Madrid", [("Berlin", Kind.NAME), ("Madrid", Kind.NAME)]),
        ("Paris", [("Paris", Kind.NAME)]),
        ("<b>Rome</b> \\frac{1}{2} &amp; x", [("Rome", Kind.NAME), ("1", Kind.NUMBER), ("2", Kind.NUMBER)]),
        ("for i in range(10):", [("10", Kind.NUMBER)]),
        ("人口は1400", [("人", Kind.WORD), ("口", Kind.WORD), ("は", Kind.WORD), ("1400", Kind.NUMBER)]),
        ("عاصمة فرنسا", [("عاصمة", Kind.WORD), ("فرنسا", Kind.WORD)]),
        ("Göttingen", [("Göttingen", Kind.NAME)]),
        ("... !? —", []),
        ("", []),
    ],
)
def test_terms_by_example(text: str, expected: list[tuple[str, Kind]]) -> None:
    assert listed(terms(answer_of(text))) == expected


def test_wider_gates_add_words() -> None:
    done = answer_of("The dog saw Rome and the cat.")
    assert [text for text, _ in listed(terms(done))] == ["Rome"]
    assert [text for text, _ in listed(terms(done, Gate.CONTENT))] == ["dog", "saw", "Rome", "cat"]
    assert [text for text, _ in listed(terms(done, Gate.ALL))] == ["The", "dog", "saw", "Rome", "and", "the", "cat"]
    assert [text for text, _ in listed(words(done))] == ["The", "dog", "saw", "Rome", "and", "the", "cat"]


def test_a_word_has_all_its_tokens_and_a_token_may_have_several_words() -> None:
    done = answer_of("In Canberra, 4}", pieces=["In", " Can", "ber", "ra,", " 4}"])
    found = terms(done)
    assert listed(found) == [("Canberra", Kind.NAME), ("4", Kind.NUMBER)]
    assert found.first.tolist() == [1, 4]
    assert found.last.tolist() == [4, 5]
    assert listed(words(answer_of("one two", pieces=["one two"]))) == [("one", Kind.WORD), ("two", Kind.NUMBER)]


def test_only_what_the_model_chose_counts() -> None:
    kinds = [TokenKind.REASONING, TokenKind.TEXT, TokenKind.FORCED, TokenKind.TEXT, TokenKind.FORCED]
    done = answer_of("Rome Paris Vienna!", pieces=["Rome", " Paris", " Vi", "enna", "!"], kinds=kinds)
    assert [text for text, _ in listed(terms(done))] == ["Paris Vienna"]
    forced = answer_of("Rome", kinds=[TokenKind.FORCED])
    assert len(terms(forced)) == 0


@given(completions())
def test_terms_are_in_order_inside_the_answer_and_have_letters(done: Completion) -> None:
    for found in (words(done), terms(done), terms(done, Gate.CONTENT)):
        assert (found.last > found.first).all()
        assert (found.end > found.start).all()
        assert (np.diff(found.start) > 0).all()
        assert (found.start[1:] >= found.end[:-1]).all()
        assert found.last.max(initial=0) <= len(done.generated)
        for place in range(len(found)):
            assert any(each.isalnum() or not each.isascii() for each in found.text_of(place))
            assert "\ud800" not in found.text_of(place)


@given(st.text(st.sampled_from("Aa1 .-\"“”`'\n/<>the of"), max_size=200))
def test_a_wider_gate_has_the_terms_of_a_narrower_one(text: str) -> None:
    done = answer_of(text)
    narrow, wide = terms(done), terms(done, Gate.ALL)
    places = set(zip(wide.start.tolist(), wide.end.tolist(), strict=True))
    assert places.issuperset(zip(narrow.start.tolist(), narrow.end.tolist(), strict=True))


@pytest.mark.parametrize("part", ["A ", '"', "<a", "`A`", "1-", "of ", "“A "])
def test_a_hostile_text_takes_time_in_proportion(part: str) -> None:
    text = part * 40_000
    done = answer_of(text, pieces=[text[at : at + 4] for at in range(0, len(text), 4)])
    begun = time.process_time()
    terms(done)
    assert time.process_time() - begun < 5
