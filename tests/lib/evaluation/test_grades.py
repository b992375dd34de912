"""Grades set by hand: read from a table, stored, and never trusted."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.display.spreadsheet import as_csv, guarded
from lib.errors import BadFile
from lib.evaluation.grades import for_rows, grades_as_json, grades_in, grades_of


def test_a_table_like_the_exported_one() -> None:
    text = "side,id,answer,right\n1,a,x,True\n2,b,y,wrong\n2,c,z,\n1,d,z,None\n"
    assert grades_in(text, 2) == {0: {"a": True}, 1: {"b": False}}
    assert grades_in("id,right\na,1\n", 1) == {0: {"a": True}}


UNREADABLE = [
    "",
    "id\na\n",
    "id,right\na,maybe\n",
    "side,id,right\n3,a,true\n",
    "side,id,right\n0,a,true\n",
    f"id,right\n{'a' * 200_000},1\n",
    f"id,right\n{'a' * 1_001},1\n",
    f"side,id,right\n{'9' * 5_000},a,1\n",
]


@pytest.mark.parametrize("text", UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadFile):
        grades_in(text, 2)


IDS = st.sets(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1)
FORMULAS = st.sets(st.sampled_from(["=1", "-x", "+", "@a", "'=1", "a", "\t=1", "0012", ";=1", "\r\n-1"]), min_size=1)


@given(IDS | FORMULAS)
def test_grades_come_back_from_an_exported_table(ids: set[str]) -> None:
    """Each id is found again, or listed where an export shows two of them alike; none is mistaken for another."""
    rows = as_csv(pd.DataFrame([{"id": each, "right": "true"} for each in sorted(ids)]))
    found, unknown = for_rows(grades_in(rows.removeprefix("\ufeff"), 1), ids)
    assert set(found.get(0, {})) <= ids
    alike = {each for each in ids if sum(guarded(other) == guarded(each) for other in ids) > 1}
    assert set(found.get(0, {})) == ids - alike
    assert set(unknown) == {guarded(each) for each in alike}


def test_an_id_that_no_row_has_is_listed() -> None:
    found, unknown = for_rows({0: {"a": True, "nobody's": False}, 1: {"=x": True, "'=b": True}}, ["a", "=x", "=b"])
    assert found == {0: {"a": True}, 1: {"=x": True, "=b": True}}
    assert unknown == ("nobody's",)


@given(st.dictionaries(st.integers(0, 9), st.dictionaries(st.text(max_size=9), st.booleans(), min_size=1)))
def test_stored_and_read(grades: dict[int, dict[str, bool]]) -> None:
    assert grades_of(json.loads(json.dumps(grades_as_json(grades)))) == grades


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(), lambda of: st.lists(of) | st.dictionaries(st.text(), of)
    )
)
def test_any_value_is_read_as_grades_or_nothing(value: object) -> None:
    for side, each in grades_of(value).items():
        assert isinstance(side, int)
        assert all(isinstance(right, bool) for right in each.values())
