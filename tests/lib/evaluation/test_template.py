"""Prompt templates: values are data, whatever they hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import InvalidRequest
from lib.evaluation.template import check_template, filled


def test_columns_and_braces() -> None:
    template = "{{json}} Q: {question}\nA ({ tone }):"
    check_template(template, ["question", "tone"])
    assert filled(template, {"question": "Why?", "tone": "dry"}) == "{json} Q: Why?\nA (dry):"
    assert filled(template, {"question": "Why?"}) is None


@given(st.text(), st.text())
def test_values_are_put_in_as_they_are(first: str, second: str) -> None:
    assert filled("<{a}|{b}>", {"a": first, "b": second}) == f"<{first}|{second}>"


def test_a_column_with_spaces_around_its_name() -> None:
    check_template("{a }", ["a "])
    assert filled("{a }|{ b }", {"a ": "x", "b": "y"}) == "x|y"
    assert filled("{a }", {"b": "y"}) is None


def test_other_values() -> None:
    assert filled("{a}", {"a": ["x", "y"]}) == "x\ny"
    assert filled("{a}", {"a": {"é": 1}}) == '{"é": 1}'
    assert filled("{a}", {"a": 0}) == "0"


@pytest.mark.parametrize(
    ("template", "cause"),
    [
        ("{a", "single {"),
        ("a}", "single }"),
        ("{b}", "no column “b”"),
        ("x", "names no column"),
        ("{}", "no column “”"),
    ],
)
def test_bad_templates(template: str, cause: str) -> None:
    with pytest.raises(InvalidRequest, match=cause):
        check_template(template, ["a"])


def test_a_placeholder_reaches_no_attribute() -> None:
    with pytest.raises(InvalidRequest, match="no column"):
        check_template("{a.__class__}", ["a"])
