"""Fields of JSON answers: which tokens count for which value, and what is said of JSON that is none."""

from __future__ import annotations

import json
import math
import time
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.completion import Completion
from lib.core.pieces import make_pieces
from lib.core.tokens import TokenKind
from lib.json_answers.fields import fields_of, table
from lib.json_answers.scan import Kind, scan
from tests.lib.json_answers.test_scan import DOCUMENTS, flat, same
from tests.support.strategies import NAN, column, completion_of, table_of, tokens_of, tokens_on

K = TokenKind


def said(*pieces: str | bytes, kinds: list[int] | None = None, **fields: Any) -> Completion:
    """An answer whose token number i has the logprob −(i + 1) / 8, which adds up without rounding."""
    table = table_of(*dict.fromkeys(pieces))
    refs = [list(dict.fromkeys(pieces)).index(each) for each in pieces]
    logprobs = [-(place + 1) / 8 for place in range(len(pieces))]
    generated = tokens_on(table, refs, logprobs=logprobs, kinds=kinds or [0] * len(pieces))
    return completion_of(tokens_of("?"), generated, **fields)


def spans(done: Completion) -> dict[str, tuple[int, int]]:
    return {each.path: (each.first, each.last) for each in fields_of(done).fields}


def test_only_tokens_of_the_value_count() -> None:
    done = said('{"', "name", '":', ' "', "Ad", "a", '",', ' "', "age", '":', " ", "36", "}")
    assert spans(done) == {"name": (4, 6), "age": (11, 12)}
    name, age = fields_of(done).fields
    assert (name.text, name.value, name.kind, name.logprob, name.lowest) == ("Ada", "Ada", Kind.STRING, -11 / 8, 5)
    assert (age.text, age.value, age.kind, age.logprob) == ("36", 36, Kind.NUMBER, -12 / 8)
    assert [(each.path, each.text, each.first, each.last) for each in fields_of(done).keys] == [
        ("name", "name", 1, 2), ("age", "age", 8, 9),
    ]  # fmt: skip
    assert fields_of(done).problem == ""


def test_a_token_that_straddles_counts_and_a_closing_quote_alone_does_not() -> None:
    assert spans(said('{"a":', ' "Par', 'is",', ' "b":', " 4}")) == {"a": (1, 3), "b": (4, 5)}
    assert spans(said('{"a": "', "Paris", '"}')) == {"a": (1, 2)}
    assert spans(said('{"a": "', "Paris", '"', "}")) == {"a": (1, 2)}
    assert spans(said("[", "1,2", "]")) == {"[0]": (1, 2), "[1]": (1, 2)}


def test_of_something_empty_the_closing_character_is_the_value() -> None:
    assert spans(said('{"a": "', '",', '"b": [', "]", ', "c": {}', "}")) == {"a": (1, 2), "b": (3, 4), "c": (4, 5)}
    assert [each.value for each in fields_of(said('{"a": "', '",', '"b": [', "]", ', "c": {}', "}")).fields] == [
        "", [], {},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pieces", "path"),
    [
        (["Here [1] it is:\n", "```json\n", '{"a": ', "5", "}\n", "```"], "a"),
        (["As {name} asked, see [1], [", "2]: ", '{"a": ', "5", "} and {}"], "a"),
        (["```\n", "[", " 5", "]\n```\n", '{"b": 1}'], "[0]"),
        (["[1", "]"], "[0]"),
        (["So: ", "[1", "]"], "[0]"),
        (["Use {} or [text](link): ", "[{", '"a": 5', "}]"], "[0].a"),
    ],
)
def test_json_after_prose(pieces: list[str], path: str) -> None:
    reading = fields_of(said(*pieces))
    assert [each.path for each in reading.fields] == [path]
    assert reading.problem == ""


def test_reasoning_and_control_tokens_are_left_out_and_rows_are_the_answers() -> None:
    done = said(
        "<think>", '{"no": 1}', "</think>", '{"a":', " 1", "<tool>", "2", "}", "<end>",
        kinds=[K.REASONING, K.REASONING, K.REASONING, K.TEXT, K.TEXT, K.SPECIAL, K.TEXT, K.TOOL, K.STOP],
    )  # fmt: skip
    (found,) = fields_of(done).fields
    assert (found.path, found.value, found.first, found.last) == ("a", 12, 4, 7)
    assert found.logprob == -(5 + 7) / 8


def test_forced_tokens_are_part_of_the_text_but_have_no_score() -> None:
    kinds = [K.FORCED, K.FORCED, K.TEXT, K.TEXT, K.TEXT]
    first, second = fields_of(said('{"a": "', "Ad", 'a", "b": ', "1", "}", kinds=kinds)).fields
    assert (first.text, first.lowest, first.alternatives) == ("Ada", -1, ())
    assert math.isnan(first.logprob)
    assert second.logprob == -4 / 8
    everything = fields_of(said('{"a": ', "true", "}", kinds=[K.FORCED] * 3)).fields
    assert [(each.value, each.spread) for each in everything] == [(True, None)]


def test_an_unscored_token_leaves_the_field_unscored() -> None:
    done = completion_of(tokens_of("?"), tokens_of("[", "1", "2", "]", logprobs=[-1.0, -1.0, NAN, -1.0]))
    (found,) = fields_of(done).fields
    assert math.isnan(found.logprob)
    impossible = completion_of(tokens_of("?"), tokens_of("[", "1", "]", logprobs=[-1.0, -math.inf, -1.0]))
    assert fields_of(impossible).fields[0].logprob == -math.inf


def test_alternatives_are_those_at_the_least_likely_token() -> None:
    pieces = table_of('{"a": "', "Par", "is", '"}', "Lon", "Ro", "ma", "x")
    top = [[0, -1, -1, -1], [1, 4, 5, 7], [2, 6, -1, -1], [3, -1, -1, -1]]
    listed = [[-0.1, NAN, NAN, NAN], [-2.0, -1.0, -3.0, -4.0], [-0.5, -1.5, NAN, NAN], [-0.1, NAN, NAN, NAN]]
    generated = tokens_on(
        pieces, [0, 1, 2, 3], logprobs=[-0.1, -2.0, -0.5, -0.1], top_refs=top, top_logprobs=listed
    )  # fmt: skip
    (found,) = fields_of(completion_of(tokens_of("?"), generated)).fields
    assert (found.lowest, found.lowest_text) == (1, "Par")
    assert [text for text, _ in found.alternatives] == ["Lon", "Ro", "x"]
    assert [share for _, share in found.alternatives] == pytest.approx([math.exp(each) for each in (-1, -3, -4)])


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"stop_reason": "length"}, ": it was cut off at the token limit."),
        ({"stop_reason": "cancelled"}, ": you stopped it."),
        ({"stop_reason": "incomplete"}, ": the connection dropped."),
        ({"stop_reason": "stop"}, ": the model ended it there."),
        ({"stop_reason": "guardrail_intervened"}, "."),
        ({}, "."),
    ],
)
def test_a_cut_is_explained(fields: dict[str, str], why: str) -> None:
    reading = fields_of(said('{"id": ', "7", ', "name": "', "Ad", **fields))
    assert reading.problem == f"The answer ends inside the string of “name”, after 4 tokens{why}"
    assert [(each.path, each.text, each.complete) for each in reading.fields] == [
        ("id", "7", True), ("name", "Ad", False),
    ]  # fmt: skip


def test_a_fault_is_explained_and_what_comes_before_it_is_kept() -> None:
    reading = fields_of(said('{"a": ', "1", ', "b": ', "True", "}"))
    assert (
        reading.problem
        == "“True” is not a JSON value: JSON spells it true, after 3 tokens. The fields before that are read."
    )
    assert [each.path for each in reading.fields] == ["a"]
    assert fields_of(said("No", " data.")).problem == "The answer has no JSON object or array."
    assert fields_of(completion_of(tokens_of("?"), tokens_of())).problem == "The answer has no JSON object or array."


def test_notes_are_bounded() -> None:
    reading = fields_of(said("{" + ", ".join(['"a": 1'] * 9) + "}"))
    assert reading.problem.count("more than once") == 3
    assert reading.problem.endswith("5 more problems like these.")
    assert [each.repeated for each in reading.fields] == [False] + [True] * 8


def test_broken_bytes_and_parts_of_characters() -> None:
    done = said(b'{"a": "', b"\xf0\x9f", b"\x98\x80", b'", "b": "', b"\xff", b'"}')
    first, second = fields_of(done).fields
    assert (first.text, first.first, first.last) == ("😀", 1, 3)
    assert (second.text, second.first, second.last) == ("\\xff", 4, 5)


@given(DOCUMENTS, st.lists(st.integers(1, 9), max_size=30))
def test_the_tokens_of_a_value_are_those_with_a_character_of_it(value: Any, lengths: list[int]) -> None:
    text = json.dumps(value)
    ends = [0, *(end for end in accumulate(lengths) if end < len(text)), len(text)]
    reading, found = fields_of(said(*(text[one:other] for one, other in pairwise(ends)))), scan(text, 0)
    assert reading.problem == ""
    assert same([(each.path, each.value) for each in reading.fields], flat(value))
    for field, place in zip((*reading.fields, *reading.keys), (*found.values, *found.keys), strict=True):
        characters = range(place.start, max(place.end, place.start + 1))
        rows = [row for row, (one, other) in enumerate(pairwise(ends)) if set(range(one, other)) & set(characters)]
        assert list(range(field.first, field.last)) == rows
        assert field.logprob == -sum(row + 1 for row in rows) / 8


@given(DOCUMENTS, st.lists(st.integers(1, 9), max_size=30))
def test_tokens_may_end_inside_a_character(value: Any, lengths: list[int]) -> None:
    data = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    ends = [0, *(end for end in accumulate(lengths) if end < len(data)), len(data)]
    reading = fields_of(said(*(data[one:other] for one, other in pairwise(ends))))
    assert same([(each.path, each.value) for each in reading.fields], flat(json.loads(data)))


@given(st.lists(st.binary(max_size=4) | st.sampled_from([b'{"', b'":', b'["', b'"', b"}", b"1,", b"\\"]), max_size=30))
def test_whatever_an_answer_is_it_is_read(pieces: list[bytes]) -> None:
    reading = fields_of(said(*pieces))
    for each in (*reading.fields, *reading.keys):
        assert 0 <= each.first <= each.last <= len(pieces)
        assert each.text.encode("utf-8", "surrogatepass") is not None
    for row in table(reading.fields):
        assert all(isinstance(value, str | int | float) for value in row.values())
        "".join(str(value) for value in row.values()).encode()


def test_the_table_shows_plain_values() -> None:
    reading = fields_of(said('{"a": "', "x\u202ey" * 200, '", "a": ', "1"), {"a": ["x", "y"]})
    rows = table(reading.fields)
    assert rows[0]["value"].startswith("x‹U+202E›yx")  # type: ignore[union-attr]
    assert len(str(rows[0]["value"])) < 2_000
    assert rows[0]["note"] == "not one of its allowed values"
    assert rows[1]["note"] == "cut off; the key occurs more than once"
    assert rows[1]["probability"] == pytest.approx(math.exp(-4 / 8))


def long_answer(text: str, size: int) -> Completion:
    """An answer of tokens of `size` characters with 5 alternatives each."""
    parts = [text[place : place + size] for place in range(0, len(text), size)]
    names = {each: place for place, each in enumerate(dict.fromkeys(parts))}
    pieces = make_pieces([(place, each.encode(), False) for each, place in names.items()])
    count = len(parts)
    rng = np.random.default_rng(0)
    generated = tokens_on(
        pieces, [names[each] for each in parts], logprobs=-rng.random(count),
        top_refs=rng.integers(0, len(names), (count, 5)), top_logprobs=column(-rng.random((count, 5))),
    )  # fmt: skip
    return completion_of(tokens_of("?"), generated)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"id": number, "status": "open", "ok": True, "name": "n" * 30} for number in range(12_500)]),
        "[" * 100_000,
        '{"a": ' * 100_000,
        "see [1] " * 125_000,
        "[" + "1," * 500_000,
        '["' + "a" * 1_000_000,
    ],
    ids=range(6),
)
def test_a_megabyte_takes_little_time(text: str) -> None:
    done = long_answer(text, 4)
    start = time.process_time()
    fields_of(done, {"[].status": [f"s{number}" for number in range(150)] + ["open"]})
    assert time.process_time() - start < 2


def test_an_answer_in_one_token_has_the_same_score_for_all() -> None:
    reading = fields_of(said('{"a": 1, "b": [2]}'))
    assert [each.logprob for each in reading.fields] == [-1 / 8, -1 / 8]
