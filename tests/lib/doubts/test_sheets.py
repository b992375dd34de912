"""Fact sheets: where values are found, how they are graded, and what a file of sheets may hold."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.doubts.sheets import Field, Sheet, graded_spans, sheet_of, sheets, spans
from lib.errors import BadFile
from lib.evaluation.ready import ready_table

PERU = Sheet(
    "peru", "country", "country, facts", "country: Peru", "design", "Peru is a country in", ("\n",),
    (
        Field("continent", "", ("South America", "the Americas"), unclear=("Pacific Ocean",)),
        Field("capital", "Its capital is", ("Lima",)),
        Field("currency", "its currency is", ("sol", "Peruvian sol")),
        Field("language", "its people speak", ("Spanish", "Quechua")),
    ),
)  # fmt: skip
WHOLE = " South America. Its capital is Lima, its currency is the peso, and its people speak Spanish."


def found(text: str, sheet: Sheet = PERU) -> dict[str, tuple[str, bool | None]]:
    """The value and grade of each field, the first one if there are several."""
    values: dict[str, tuple[str, bool | None]] = {}
    for each in spans(sheet, text):
        values.setdefault(each.field, (text[each.start : each.end], each.right))
    return values


def one(text: str, *expected: str, **about: Any) -> tuple[str, bool | None]:
    """The value and grade of a sheet with one field."""
    return found(text, replace(PERU, fields=(Field("x", "", expected, **about),)))["x"]


def test_right_and_wrong_values_of_one_answer() -> None:
    assert found(WHOLE) == {
        "continent": ("South America", True),
        "capital": ("Lima", True),
        "currency": ("peso", False),
        "language": ("Spanish", True),
    }


def test_a_field_that_is_missing_is_left_out_and_the_next_one_is_found() -> None:
    values = found(" Asia, and its people speak Quechua.")
    assert values == {"continent": ("Asia", False), "language": ("Quechua", True)}


def test_only_the_first_line_is_read() -> None:
    assert "capital" not in found(" South America.\nIts capital is Lima")


@pytest.mark.parametrize(
    ("text", "expected", "value", "right"),
    [
        (" Spanish and Aymara.", ("Spanish",), "Spanish", True),
        (" Port of Spain, I think.", ("Trinidad and Tobago",), "Port of Spain", False),
        (" Trinidad and Tobago.", ("Trinidad and Tobago",), "Trinidad and Tobago", True),
        (" St. John's.", ("Saint John's", "St. John's"), "St. John's", True),
        (" St. Lucia.", ("Grenada",), "St. Lucia", False),
        (" K. Its family", ("K",), "K", True),
        (" 1,234.", ("1234",), "1,234", True),
        (" 3.5, about", ("3.5",), "3.5", True),
        (" Niger.", ("Nigeria",), "Niger", False),
        (" Guinea-Bissau.", ("Equatorial Guinea",), "Guinea-Bissau", False),
        (" the Netherlands", ("Netherlands",), "Netherlands", True),
        (" Lima (the old one)", ("Lima",), "Lima", True),
        (" “Lima”.", ("Lima",), "Lima", True),
        (" Lima<|im_end|>", ("Lima",), "Lima", True),
        (" São Tomé", ("São Tomé", "Sao Tome"), "São Tomé", True),
    ],
)
def test_where_a_value_ends(text: str, expected: tuple[str, ...], value: str, right: bool) -> None:
    assert one(text, *expected) == (value, right)


def test_what_is_neither_right_nor_wrong() -> None:
    assert one(" Southeast Asia.", "Asia") == ("Southeast Asia", None), "it holds the expected value"
    assert one(" Panama.", "Panama City") == ("Panama", None), "the expected value holds it"
    assert found(" Pacific Ocean.")["continent"] == ("Pacific Ocean", None)
    assert one(" b c d e f g h.", "x")[1] is None, "too long for a value"
    assert one(" Lima.") == ("Lima", None), "nothing is expected"
    assert [each.field for each in graded_spans(PERU, " Pacific Ocean. Its capital is Lima.")] == ["capital"]


def test_a_second_value_is_not_graded() -> None:
    text = " South America. Its capital is Lima or Cusco, its currency is the sol."
    assert [(text[each.start : each.end], each.right) for each in spans(PERU, text)][1:3] == [
        ("Lima", True), (" or Cusco", None),
    ]  # fmt: skip


def test_a_number_may_differ_by_the_tolerance() -> None:
    assert one(" 55.8.", "56", tolerance=0.005) == ("55.8", True)
    assert one(" 58.", "56", tolerance=0.005) == ("58", False)


def test_words_after_a_value_end_it() -> None:
    assert one(" third quarter of the year.", "third", after="quarter of the year") == ("third", True)


def test_a_field_is_graded_only_if_the_one_it_depends_on_is_right() -> None:
    city = replace(
        PERU, fields=(Field("country", "", ("Peru",)), Field("capital", "Its capital is", ("Lima",), given="country"))
    )
    assert found(" Peru. Its capital is Quito.", city)["capital"] == ("Quito", False)
    assert found(" Ecuador. Its capital is Quito.", city)["capital"] == ("Quito", None)


@given(st.text(max_size=200) | st.lists(st.sampled_from(WHOLE.split(" ")), max_size=30).map(" ".join))
def test_any_text_has_spans_in_order_that_do_not_overlap(text: str) -> None:
    values = spans(PERU, text)
    places = [place for each in values for place in (each.start, each.end)]
    assert places == sorted(places)
    assert all(0 <= each.start < each.end <= len(text) for each in values)
    assert {each.field for each in values} <= {each.name for each in PERU.fields}


def test_the_sheets_that_come_with_candor() -> None:
    rows = sheets()
    assert len({each.row_id for each in rows}) == len(rows) > 900
    graded = Counter(each.part for each in rows for field in each.fields if field.expected)
    assert graded["development"] > 1_000
    assert graded["held-out"] > 1_000
    assert sheets("held-out") == tuple(each for each in rows if each.part == "held-out")


def test_parts_share_neither_entities_nor_forms() -> None:
    rows = sheets()
    by_entity = {each.entity: each.part for each in rows}
    assert all(by_entity[each.entity] == each.part for each in rows)
    own = {each.template: {row.part for row in rows if row.template == each.template} for each in rows}
    assert all("design" in parts and len(parts) == 2 for parts in own.values())


def test_an_entity_is_in_the_part_that_it_has_in_the_ready_set() -> None:
    facts = {row["entity"]: row["part"] for row in ready_table("facts-few-shot").rows}
    shared = [each for each in sheets() if each.entity in facts]
    assert len(shared) > 500
    assert all(facts[each.entity] == each.part for each in shared)


def test_a_prompt_does_not_hold_what_it_asks() -> None:
    for each in sheets():
        *shown, asked = each.prompt.split("\n")
        assert len(shown) == 3
        assert not asked.endswith(" ")
        assert each.stop == ("\n",)


ROW: dict[str, Any] = {
    "id": "a", "kind": "country", "template": "t", "entity": "country: Peru", "part": "design", "prompt": "Peru is in",
    "stop": ["\n"],
    "fields": [
        {"name": "continent", "cue": "", "expected": ["South America"], "unclear": ["Pacific"]},
        {"name": "weight", "cue": "It weighs", "expected": ["5"], "tolerance": 0.1, "given": "continent",
         "after": "kg"},
    ],
}  # fmt: skip


def test_a_row_is_read() -> None:
    sheet = sheet_of(ROW)
    assert sheet.row_id == "a"
    assert sheet.fields[1] == Field("weight", "It weighs", ("5",), "kg", 0.1, (), "continent")


@pytest.mark.parametrize("name", [*ROW])
@pytest.mark.parametrize("value", [None, 5, "", [], [None], {}])
def test_a_row_with_another_value_is_refused(name: str, value: object) -> None:
    if (name, value) == ("stop", []):
        assert sheet_of({**ROW, name: value}).stop == ()
        return
    with pytest.raises(BadFile):
        sheet_of({**ROW, name: value})


@pytest.mark.parametrize("name", ["name", "cue", "after", "given", "expected", "unclear", "tolerance"])
@pytest.mark.parametrize("value", [None, ["", "x"], [5], {}, -1, True, ["x"] * 500])
def test_a_field_with_another_value_is_refused(name: str, value: object) -> None:
    fields = json.loads(json.dumps(ROW["fields"]))
    fields[1][name] = value
    with pytest.raises(BadFile):
        sheet_of({**ROW, "fields": fields})
