"""Rules of grading: what is right and what is not, for each, and that foreign patterns and answers are harmless."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import InvalidPattern, InvalidRequest
from lib.evaluation.grading import Grader, Rule, json_field, normalized, number_in

RIGHT = [
    (Rule.EXACT, " Paris \nand more", "Paris"),
    (Rule.NORMALIZED, "The Paris.", "paris"),
    (Rule.NORMALIZED, "ＰＡＲＩＳ", "Paris"),
    (Rule.NORMALIZED, "\n\n東京。", "東京"),
    (Rule.NORMALIZED, "3.14", "3.14"),
    (Rule.CONTAINS, "It is New  York, of course", "new york"),
    (Rule.NUMBER, "about 1,234.50 metres", "1234.5"),
    (Rule.NUMBER, "−3", "-3"),
    (Rule.PATTERN, "in 1969", r"\b19\d\d\b"),
]
WRONG = [
    (Rule.EXACT, "paris", "Paris"),
    (Rule.NORMALIZED, "Paris, France", "Paris"),
    (Rule.NORMALIZED, "3.14", "314"),
    (Rule.NORMALIZED, "-5", "5"),
    (Rule.CONTAINS, "New Yorkers", "New York"),
    (Rule.NUMBER, "no idea", "3"),
    (Rule.NUMBER, "31", "3"),
    (Rule.PATTERN, "in 2069", r"\b19\d\d\b"),
    (Rule.NORMALIZED, "", "Paris"),
]


@pytest.mark.parametrize(("rule", "answer", "expected"), RIGHT)
def test_right(rule: Rule, answer: str, expected: str) -> None:
    assert Grader(rule).grade(answer, ("nothing like it 7" if rule is Rule.NUMBER else "zzz", expected)).right


@pytest.mark.parametrize(("rule", "answer", "expected"), WRONG)
def test_wrong(rule: Rule, answer: str, expected: str) -> None:
    assert not Grader(rule).grade(answer, (expected,)).right


def test_a_tolerance_is_relative() -> None:
    near = Grader(Rule.NUMBER, tolerance=0.05)
    assert near.grade("104", ("100",)).right
    assert not near.grade("106", ("100",)).right
    assert near.grade("104", ("100",)).compared == "104"


def test_a_field_of_a_json_answer() -> None:
    grader = Grader(Rule.JSON_FIELD, field="items.1.name")
    answer = 'Here you are:\n```json\n{"items": [{"name": "a"}, {"name": "The B."}]}\n``` and more'
    assert grader.grade(answer, ("b",)).right
    assert not grader.grade('{"items": []}', ("b",)).right
    assert not grader.grade("none", ("b",)).right
    assert json_field('{"n": 1.0, "o": null}', "n") == "1.0"
    assert json_field('{"n": {"m": [1]}}', "n") == '{"m": [1]}'
    assert json_field("[" * 50_000, "0") is None


def test_only_the_first_line_counts_unless_asked_otherwise() -> None:
    assert Grader(Rule.NORMALIZED).grade("Paris\nQuestion: And", ("Paris",)).right
    assert not Grader(Rule.NORMALIZED, first_line=False).grade("Paris\nQuestion: And", ("Paris",)).right


@given(st.text())
def test_normalizing_twice_changes_nothing(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)


@given(st.floats(-1e9, 1e9))
def test_numbers_are_found_in_text(value: float) -> None:
    found = number_in(f"roughly {value!r}, they say")
    assert found == pytest.approx(value)


@given(st.text(), st.sampled_from([each for each in Rule if each is not Rule.PATTERN]))
def test_any_answer_is_graded(answer: str, rule: Rule) -> None:
    grade = Grader(rule, field="a").grade(answer, ("x 1",))
    assert isinstance(grade.right, bool)


@pytest.mark.parametrize(
    ("grader", "expected", "cause"),
    [
        (Grader(), (), "Nothing is expected"),
        (Grader(Rule.NUMBER), ("many",), "isn't a number"),
        (Grader(Rule.NORMALIZED), ("...",), "Nothing is left"),
        (Grader(Rule.JSON_FIELD), ("x",), "No JSON field"),
        (Grader(Rule.PATTERN), ("(",), "Invalid regular expression"),
        (Grader(Rule.PATTERN), ("x" * 600,), "longer than 500 characters"),
        (Grader(Rule.PATTERN), ("(a{1000}){999999}",), "repeats"),
    ],
)
def test_what_cannot_be_compared(grader: Grader, expected: tuple[str, ...], cause: str) -> None:
    with pytest.raises(InvalidRequest, match=cause):
        grader.check(expected)


def test_a_slow_pattern_is_stopped() -> None:
    began = time.monotonic()
    with pytest.raises(InvalidPattern, match="takes too long"):
        Grader(Rule.PATTERN).grade("a" * 5_000 + "!", ("(?:a|a|aa)+$(?<=b)",))
    assert time.monotonic() - began < 5
