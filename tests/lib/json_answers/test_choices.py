"""Whole values of fields: from the user or a schema, and how the answer's probability divides among them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import InvalidRequest
from lib.json_answers.choices import choices_in, whole_values
from lib.json_answers.fields import Field, fields_of
from lib.json_answers.paths import inside, item, last_key
from lib.json_answers.scan import Kind
from tests.lib.doubts.test_spread import Step, way
from tests.support.strategies import completion_of, tokens_of


def read(*steps: Step, **choices: list[str]) -> Field:
    done = completion_of(tokens_of("?"), way(*steps))
    return fields_of(done, {name.replace("_", "[]"): values for name, values in choices.items()}).fields[0]


def test_a_string_is_one_of_its_values() -> None:
    found = read(
        ('{"status":', {}), (' "', {' "': 1.0}), ("open", {"open": 0.7, "clo": 0.2, "pend": 0.1}),
        ('"}', {'"}': 0.9, "ed": 0.1}), status=["open", "opened", "closed"],
    )  # fmt: skip
    assert (found.kind, found.outside, found.first, found.last) == (Kind.ENUMERATION, False, 2, 3)
    assert [name for name, _ in found.whole_values] == ["open", "closed", "opened"]
    assert [share for _, share in found.whole_values] == pytest.approx([0.63, 0.2, 0.07])
    assert found.spread is not None
    assert (found.spread.undecided, found.spread.others) == pytest.approx((0, 0.1))


def test_a_path_may_be_of_all_items_and_values_of_any_kind() -> None:
    found = read(
        ('[{"n": ', {}), ("1", {"1": 0.5, "null": 0.3, "10": 0.2}), ("}]", {"}]": 1.0}), **{"_.n": ["1", "10", "null"]}
    )
    assert dict(found.whole_values) == pytest.approx({"1": 0.5, "null": 0.3, "10": 0.2})


NESTED = [
    ('{"colour": "', {}), ("red", {"red": 0.6, "blue": 0.4}), ('", "items": [{"colour": "', {}),
    ("blue", {"blue": 0.7, "red": 0.3}), ('", "two words": ["', {}), ("x", {"x": 0.8, "y": 0.2}), ('"]}]}', {}),
]  # fmt: skip


def known(choices: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    done = completion_of(tokens_of("?"), way(*NESTED))
    return {each.path: each.choices for each in fields_of(done, choices).fields}


def test_a_bare_name_is_that_of_any_field() -> None:
    both = ("red", "blue")
    inner, words = "items[0].colour", 'items[0]["two words"][0]'
    assert known({"colour": [*both]}) == {"colour": both, inner: both, words: ()}
    assert known({"two words": ["x", "y"]}) == {"colour": (), inner: (), words: ("x", "y")}
    assert known({"colour": ["red"], "items[].colour": ["blue"]}) == {"colour": ("red",), inner: ("blue",), words: ()}
    assert known({".colour": ["red"]}) == {"colour": ("red",), inner: (), words: ()}
    assert known({"olour": ["red"], "items": ["red"], "": ["red"]}) == {"colour": (), inner: (), words: ()}
    found = fields_of(completion_of(tokens_of("?"), way(*NESTED)), {"colour": [*both]}).fields[1]
    assert dict(found.whole_values) == pytest.approx({"blue": 0.7, "red": 0.3})


def test_a_schema_is_of_its_own_fields_only() -> None:
    top = choices_in({"properties": {"colour": {"enum": ["red"]}}})
    assert known({name: [*values] for name, values in top.items()})["items[0].colour"] == ()
    assert known({name: [*values] for name, values in top.items()})["colour"] == ("red",)


@given(st.lists(st.text(max_size=70) | st.integers(0, 99), max_size=6), st.text(max_size=59), st.integers(0, 2))
def test_the_last_key_of_a_path(keys: list[str | int], key: str, items: int) -> None:
    path = ""
    for each in keys:
        path = inside(path, each) if isinstance(each, str) else item(path, each)
    path = inside(path, key)
    for number in range(items):
        path = item(path, number)
    assert last_key(path) == key or path.startswith("…")


def test_a_value_that_is_none_of_them_is_said_so() -> None:
    found = read(('{"a": "', {}), ("maybe", {"maybe": 0.6, "yes": 0.4}), ('"}', {'"}': 1.0}), a=["yes", "no"])
    assert found.outside
    assert dict(found.whole_values) == pytest.approx({"yes": 0.4, "no": 0.0})


def test_quotes_and_line_breaks_in_values() -> None:
    found = read(
        ('{"a": "', {}), ('say \\"', {'say \\"': 0.8, "two\\n": 0.2}), ('hi\\""}', {'hi\\""}': 1.0}),
        a=['say "hi"', "two\nlines"],
    )  # fmt: skip
    assert (found.value, found.outside) == ('say "hi"', False)
    assert dict(found.whole_values) == pytest.approx({'say "hi"': 0.8, "two\nlines": 0.2})


def test_true_and_false_are_told_without_being_asked_for() -> None:
    found = read(('{"a":', {}), (" false", {" false": 0.75, " true": 0.2, " ": 0.05}), ("}", {"}": 1.0}))
    assert dict(found.whole_values) == pytest.approx({"true": 0.2, "false": 0.75})
    assert found.spread is not None
    assert (found.spread.undecided, found.spread.others) == pytest.approx((0.05, 0), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([], "0 values"),
        ("open", "are not a list"),
        (["1", 1], "twice"),
        (["a"] * 2, "twice"),
        (["a" * 2_000], "too long"),
        ([str(number) for number in range(201)], "201 values"),
    ],
)
def test_values_that_cannot_be(values: Any, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        whole_values({"a": values})


def test_values_may_be_as_json_has_them() -> None:
    assert whole_values({"a": [1, None, True, "x", 1.5]}) == {"a": ("1", "null", "true", "x", "1.5")}


def test_the_values_of_a_schema() -> None:
    schema = {
        "$defs": {"state": {"enum": ["open", "closed"]}, "a/b": {"const": 3}},
        "properties": {
            "orders": {
                "items": {"properties": {"status": {"$ref": "#/$defs/state"}, "level": {"enum": [1, None, True, "x"]}}}
            },
            "three": {"$ref": "#/$defs/a~1b"},
            "either": {"anyOf": [{"enum": ["a"]}, {"const": "b"}, {"type": "string"}]},
            "gone": {"$ref": "#/$defs/none"},
            "far": {"$ref": "https://example.com/schema"},
            "two words": {"enum": ["x"]},
        },
    }
    assert choices_in(schema) == {
        "orders[].status": ("open", "closed"),
        "orders[].level": ("1", "null", "true", "x"),
        ".three": ("3",),
        ".either": ("a", "b"),
        '["two words"]': ("x",),
    }


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"enum": ["x"]}}}
    assert choices_in(schema)["a.b.c"] == ("x",)
    assert choices_in({"$ref": "#"}) == {}
    wide = {"anyOf": [{"$ref": "#"}] * 10_000}
    assert choices_in(wide) == {}


@given(
    st.recursive(st.none() | st.booleans() | st.text() | st.integers(), lambda each: (
        st.lists(each)
        | st.dictionaries(st.sampled_from(["properties", "items", "enum", "const", "$ref", "anyOf"]) | st.text(), each)
    ))
)  # fmt: skip
def test_whatever_a_schema_is_it_is_read(schema: Any) -> None:
    whole_values(choices_in(schema))
