"""Measurements of scorings: which of several is taken, and files that are none."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contexts.measured import (
    MOST_BYTES,
    Measured,
    as_json,
    keep_measured,
    measured_for,
    measured_in,
    of_this_machine,
    shipped,
)
from lib.contexts.prompting import Order
from lib.contexts.recall import CHOICES
from lib.core.request import Mode
from lib.errors import BadFile
from lib.statistics.bootstrap import Interval

MADE = Measured(
    "abc", "Mine", Mode.RAW, Order.PASSAGE_FIRST, "development", "2026-11-30T10:00:00+00:00", "", "d1", 70, "question",
    "development", {"question": Interval(0.9, 0.8, 0.95, 70), "draft": Interval(0.2, 0.1, 0.3, 70)},
)  # fmt: skip
HELD_OUT = replace(
    MADE, part="held-out", best="draft", chosen_on="held-out", first={**MADE.first, "draft": Interval(0.95, 0.9, 1, 70)}
)


def found(*known: Measured, weights: str = "abc", mode: Mode = Mode.RAW) -> Measured | None:
    return measured_for(weights, mode, Order.PASSAGE_FIRST, known)


def test_it_is_that_of_the_weights_the_mode_and_the_order() -> None:
    assert found(MADE) == MADE
    assert found(MADE, weights="other") is None
    assert found(replace(MADE, weights=""), weights="") is None
    assert found(MADE, mode=Mode.CHAT) is None
    assert measured_for("abc", Mode.RAW, Order.QUESTION_FIRST, [MADE]) is None


def test_the_choice_is_that_of_development_and_the_figures_those_of_held_out() -> None:
    for known in ((MADE, HELD_OUT), (HELD_OUT, MADE)):
        own = found(*known)
        assert own is not None
        assert (own.part, own.best, own.chosen_on) == ("held-out", "question", "development")
        assert own.first["draft"].value == 0.95
    told = found(replace(HELD_OUT, best="question", chosen_on="development"))
    assert told is not None
    assert (told.best, told.chosen_on) == ("question", "development"), "the choice goes with the figures"
    alone = found(HELD_OUT)
    assert alone is not None
    assert (alone.best, alone.chosen_on) == ("draft", "held-out")


def test_your_own_questions_come_before_the_ready_set_and_later_ones_before_earlier() -> None:
    own = replace(MADE, data="mine.jsonl", digest="d2", part="", chosen_on="", date="2026-01-01T10:00:00+00:00", n=30)
    assert found(HELD_OUT, MADE, own) == own
    later = replace(own, digest="d3", date="2026-02-01T10:00:00+00:00", n=40)
    assert getattr(found(later, own, MADE), "n", 0) == 40
    other = replace(MADE, digest="d4", part="held-out", best="draft", date="2026-12-01T10:00:00+00:00")
    taken = found(MADE, other)
    assert taken is not None
    assert taken.best == "draft", "what was chosen on other questions does not count"


def test_a_file_comes_back() -> None:
    assert measured_in(json.dumps(as_json(MADE)).encode()) == MADE
    unknown = replace(MADE, first={"question": Interval(0.5, math.nan, math.nan, 3)})
    again = measured_in(json.dumps(as_json(unknown), allow_nan=False).encode())
    assert math.isnan(again.first["question"].low)
    assert again.first["question"].value == 0.5


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b" " * (MOST_BYTES + 1),
        *(
            json.dumps(as_json(MADE) | {name: value}).encode()
            for name, value in (
                ("version", 2), ("kind", "candor doubts"), ("mode", "x"), ("order", None), ("n", -1), ("n", True),
                ("n", 1.5), ("best", "bm25"), ("best", []), ("first", {"x": [1, 1, 1, 1]}),
                ("first", {"question": [1]}),
                ("first", {"question": [1.5, 1, 1, 1]}), ("first", {"question": [True, 0, 1, 1]}),
                ("first", {"question": [10**400, 0, 1, 1]}), ("first", {"question": [math.nan, 0, 1, 1]}),
                ("first", {"question": [None, 0, 1, 1]}), ("first", {"question": [0.5, 0.9, 0.1, 1]}),
                ("first", {"question": [0.5, None, 1, 1]}),
            )
        ),
    ],
)  # fmt: skip
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(BadFile):
        measured_in(data)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(10**300, 10**500) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(as_json(MADE))), VALUES)
def test_whatever_a_field_is_the_file_is_read_or_refused(name: str, value: object) -> None:
    try:
        own = measured_in(json.dumps(as_json(MADE) | {name: value}).encode())
    except BadFile:
        return
    assert own.best in own.first
    assert 0 <= own.n <= 10**9
    own.model.encode()
    assert measured_in(json.dumps(as_json(own)).encode()) == own


def test_what_is_measured_on_this_machine_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path))
    assert of_this_machine() == ()
    for each in (MADE, HELD_OUT, replace(MADE, mode=Mode.CHAT), replace(MADE, n=71)):
        keep_measured(each)
    assert len(of_this_machine()) == 3, "the last one of a model, mode, order, file and part is kept"
    own = measured_for("abc", Mode.RAW, Order.PASSAGE_FIRST)
    assert own is not None
    assert (own.part, own.best) == ("held-out", "question")
    (tmp_path / "contexts" / "0.json").write_text("broken")
    assert len(of_this_machine()) == 3


def test_those_that_ship_can_be_defaults() -> None:
    assert shipped()
    for each in shipped():
        assert each.weights
        assert each.best in CHOICES
        assert each.n == each.first[each.best].n >= 20
        assert each.data == ""


def test_only_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path))
    path = keep_measured(MADE)
    os.mkfifo(path.with_name("pipe.json"))  # reading one waits until somebody writes
    path.with_name("folder.json").mkdir()
    assert of_this_machine() == (MADE,)
