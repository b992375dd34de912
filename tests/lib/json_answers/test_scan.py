"""The scanner: on JSON it finds what the standard library reads, on anything else it says where that ends."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.json_answers.paths import inside, item
from lib.json_answers.scan import MOST_DEEP, MOST_VALUES, Kind, Scan, decoded_string, scan

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda each: st.lists(each) | st.dictionaries(st.text(), each), max_leaves=30)
DOCUMENTS = st.lists(VALUES) | st.dictionaries(st.text(), VALUES)


def flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """(path, value) of what has nothing inside it, in order."""
    if isinstance(value, dict) and value:
        return [pair for key, each in value.items() for pair in flat(each, inside(path, key))]
    if isinstance(value, list) and value:
        return [pair for number, each in enumerate(value) for pair in flat(each, item(path, number))]
    return [(path, value)]


def read(text: str, found: Scan) -> list[tuple[str, Any]]:
    """(path, value) of what was found."""
    values = []
    for each in found.values:
        raw = text[each.start : each.end]
        match each.kind:
            case Kind.STRING:
                values.append((each.path, decoded_string(raw)))
            case Kind.EMPTY:
                values.append((each.path, {"}": {}, "]": []}[raw]))
            case _:
                values.append((each.path, json.loads(raw)))
    return values


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # NaN included


@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 0, 2, "\t"]), st.text(alphabet="ab ,:\n", max_size=3))
def test_on_json_it_finds_what_the_standard_library_reads(
    value: Any, ascii_only: bool, indent: Any, around: str
) -> None:
    text = around + json.dumps(value, ensure_ascii=ascii_only, indent=indent) + around
    found = scan(text, len(around))
    assert found.fault is None
    assert found.notes == []
    assert text[found.start : found.end] == text[len(around) : len(text) - len(around)]
    assert same(read(text, found), flat(value))


@given(DOCUMENTS, st.data())
def test_cut_anywhere_it_has_what_was_complete(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=False)
    cut = text[: data.draw(st.integers(1, len(text)))]
    found = scan(cut, 0)
    whole = scan(text, 0)
    assert (found.fault is None) == (cut == text)
    complete = [each for each in found.values if each.complete]
    assert complete == whole.values[: len(complete)]
    assert len(found.values) - len(complete) <= 1
    if found.fault is not None:
        assert found.fault.cut
        assert found.fault.place == len(cut)
        assert found.end == len(cut)


JUNK = st.text(alphabet=st.sampled_from("{}[],:\"\\tfn1.-e0 \n'aNI/") | st.characters(), max_size=60)


@given(JUNK, st.sampled_from("{["))
@example('"a":1,"b":[1,2', "{")
def test_whatever_follows_a_bracket_it_agrees_with_the_standard_library(text: str, bracket: str) -> None:
    text = bracket + text
    found = scan(text, 0)
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text)
    except ValueError:
        assert found.fault is not None or any("escape" in each.what for each in found.notes)
    else:
        assert found.fault is None
        assert found.end == end
        if not found.notes:
            assert same(read(text, found), flat(value))
    for each in (*found.values, *found.keys):
        assert 0 < each.start <= each.end <= len(text)


def problem(text: str) -> str:
    found = scan(text, 0)
    assert found.fault is not None
    return found.fault.what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"name": "Ad', "inside the string of “name”"),
        ('{"na', "inside the key “na”"),
        ('{"a": {"b', "inside the key “a.b”"),
        ('{"a"', "before the value of “a”"),
        ('{"a": ', "before the value of “a”"),
        ('{"a": tr', "inside the value of “a”"),
        ('{"a": -', "inside the value of “a”"),
        ('{"a": 1.', "inside the value of “a”"),
        ('{"a": 1e+', "inside the value of “a”"),
        ('{"a": -Inf', "inside the value of “a”"),
        ('{"a": 1', "before the outermost object or array is closed"),
        ('{"a": [1, 2', "before “a” is closed"),
        ('{"a": [1, {"b": 2}', "before “a” is closed"),
        ("[", "before the outermost object or array is closed"),
        ("[1,", "before the outermost object or array is closed"),
        ("[1,]", "There is a trailing comma before ]"),
        ('{"a": 1,}', "There is a trailing comma before }"),
        ("{'a': 1}", "A key of the outermost object or array is not in double quotes"),
        ('{"a" 1}', "A colon is missing after the key “a”"),
        ('{"a": 1 "b": 2}', "A comma is missing after “a”, or a quote inside it is not escaped"),
        ('{"a": "say "hi""}', "A comma is missing after “a”, or a quote inside it is not escaped"),
        ('{"a": }', "The value of “a” is missing"),
        ('{"a": [1, , 2]}', "The value of “a[1]” is missing"),
        ('{"a": [1}', "} closes “a”, where ] is expected"),
        ('{"a": True}', "“True” is not a JSON value: JSON spells it true"),
        ('{"a": 012}', "“012” is not a JSON value"),
        ("{\"a\": 'x'}", "“'x'” is not a JSON value"),
        ('{"a": +1}', "“+1” is not a JSON value"),
        ('{"a": // x', "“//” is not a JSON value"),
        ('{"a": \u202etrue}', "“‹U+202E›true” is not a JSON value"),
    ],
)
def test_faults_in_words(text: str, what: str) -> None:
    assert problem(text) == what


def test_what_is_read_nevertheless_is_noted() -> None:
    found = scan('{"a": 1, "a": 2, "b": "\\x", "c": "two\nlines"}', 0)
    assert found.fault is None
    assert [each.what for each in found.notes] == [
        "The key “a” occurs more than once",
        "“b” has an escape that JSON does not know",
    ]
    assert [(each.path, each.repeated) for each in found.values] == [
        ("a", False), ("a", True), ("b", False), ("c", False),
    ]  # fmt: skip


def test_paths() -> None:
    found = scan('{"a": [{"b c": 1}, [true]], "": null, "ü": {"d": []}, "x.y": {}}', 0)
    assert [each.path for each in found.values] == ['a[0]["b c"]', "a[1][0]", '[""]', "ü.d", '["x.y"]']
    assert [each.path for each in found.keys] == ["a", 'a[0]["b c"]', '[""]', "ü", "ü.d", '["x.y"]']


def test_surrogates_and_numbers_of_any_form() -> None:
    text = '["\\ud83d\\ude00", "\\ud83d", -0, 1E5, 1e-400, 1e400, NaN, -Infinity, 123456789012345678901234567890]'
    values = [value for _, value in read(text, scan(text, 0))]
    assert values[:6] == ["😀", "\ud83d", 0, 1e5, 0.0, math.inf]
    assert values[7:] == [-math.inf, 123456789012345678901234567890]


def seconds(text: str) -> tuple[float, Scan]:
    start = time.process_time()
    found = scan(text, 0)
    return time.process_time() - start, found


def test_deep_nesting_ends_in_words() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, "[" * MOST_DEEP + "]" * MOST_DEEP):
        taken, found = seconds(text)
        assert taken < 1
        if len(text) > 1_000:
            assert problem(text) == f"Only {MOST_DEEP} levels of nesting are read"
            assert found.end < 6 * (MOST_DEEP + 1)
        else:
            assert found.fault is None


@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * 500_000 + "1]",
        "[" + "[]," * 300_000 + "1]",
        '["' + "a" * 1_000_000 + '"]',
        '["' + '\\"' * 500_000 + '"]',
        '["' + "\\" * 1_000_001,
        "[" + "9" * 1_000_000 + "]",
        "[" + " " * 1_000_000,
        '{"' + "k" * 500_000 + '": {' + ",".join(f'"{number}": 1' for number in range(40_000)) + "}}",
        "[" + "x" * 1_000_000,
    ],
    ids=range(9),
)
def test_a_megabyte_takes_little_time(text: str) -> None:
    taken, found = seconds(text)
    assert taken < 2
    assert len(found.values) <= MOST_VALUES
    assert all(len(each.path) <= 300 for each in found.values)
