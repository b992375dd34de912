"""Grades set by hand: read from a table, stored, and never trusted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import BadFile
from lib.evaluation.grades import grades_as_json, grades_in, grades_of


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
]


@pytest.mark.parametrize("text", UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadFile):
        grades_in(text, 2)


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
