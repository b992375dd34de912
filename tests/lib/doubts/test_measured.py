"""Measurements of flags: what a threshold would have found, and files that are none."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.doubts.measured import (
    MOST_BYTES,
    Measured,
    as_json,
    at_threshold,
    has_more,
    keep_measured,
    measured_for,
    measured_in,
    shipped,
)
from lib.doubts.methods import METHODS
from lib.errors import BadFile
from lib.statistics.bootstrap import Interval
from tests.support.answers import answer_of

MADE = Measured(
    "abc",
    "Mine",
    "held-out",
    "2026-11-30",
    3,
    np.array([True, True, False, False, True]),
    {"sum": np.array([3.0, 1.0, 2.0, 0.5, math.nan])},
    {"sum": Interval(0.75, 0.5, 0.9, 5)},
)


def test_what_a_threshold_would_have_found() -> None:
    found = at_threshold(MADE, "sum", 1.5)
    assert found is not None
    assert (found.n, found.flagged, found.wrong, found.found) == (4, 2, 2, 1)
    assert found.precision.value == found.recall.value == 0.5
    assert at_threshold(MADE, "entropy", 1.5) is None
    none = at_threshold(MADE, "sum", math.inf)
    assert none is not None
    assert math.isnan(none.precision.value)


def test_a_measurement_is_that_of_the_model_of_the_answer() -> None:
    done = answer_of("Rome")
    assert measured_for(done, [MADE]) is None
    assert measured_for(replace(done, provenance=(("weights", "abc"),)), [MADE]) is MADE
    assert measured_for(replace(done, provenance=(("weights", "other"),)), [MADE]) is None


def test_an_arn_tells_the_model_where_no_weights_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path))
    arn = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc"
    done = replace(answer_of("Rome"), model=arn)
    assert measured_for(done) is None
    keep_measured(replace(MADE, weights="", model=arn))
    found = measured_for(done)
    assert found is not None
    assert found.model == arn
    assert measured_for(replace(done, model=f"{arn}d")) is None
    assert measured_for(replace(done, provenance=(("weights", "abc"),))) is None, "a model on this machine"
    assert measured_for(replace(done, model=""), [replace(MADE, weights="", model="")]) is None
    keep_measured(replace(MADE, weights="", model=f"{arn}d"))
    assert len(list((tmp_path / "flags").iterdir())) == 2, "each model has a file of its own"


def test_more_facts_of_the_same_model_and_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path))
    few = replace(MADE, wrong=MADE.wrong[:2], scores={"sum": MADE.scores["sum"][:2]})
    assert not has_more(few)
    keep_measured(MADE)
    assert has_more(few)
    assert not has_more(MADE)
    for other in (replace(few, weights="other"), replace(few, weights=""), replace(few, part="development")):
        assert not has_more(other)


def test_a_file_comes_back() -> None:
    again = measured_in(json.dumps(as_json(MADE)).encode())
    assert (again.weights, again.answers, again.auroc) == ("abc", 3, MADE.auroc)
    assert again.wrong.tolist() == MADE.wrong.tolist()
    assert again.scores["sum"].tolist() == pytest.approx(MADE.scores["sum"].tolist(), nan_ok=True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b" " * (MOST_BYTES + 1),
        json.dumps(as_json(MADE) | {"wrong": [1]}).encode(),
        json.dumps(as_json(MADE) | {"scores": {"sum": ["x"]}}).encode(),
        json.dumps(as_json(MADE) | {"auroc": {"sum": [1]}}).encode(),
        json.dumps(as_json(MADE) | {"version": 2}).encode(),
        *(
            json.dumps(as_json(MADE) | {name: value}).encode()
            for value in (math.inf, math.nan, 10**400, -1, "5", 2.5, [[1]] * 5, None)
            for name in ("answers", "wrong", "scores", "auroc")
        ),
        json.dumps(as_json(MADE)).replace('"answers": 3', '"answers": 1e999').encode(),
        *(
            json.dumps(as_json(MADE) | {"auroc": {"sum": each}}).encode()
            for each in ([0.5, 0.4, 0.6, math.inf], [0.5, 0.4, 0.6, math.nan], [10**400, 0, 1, 5], ["0.5", 0, 1, 5])
        ),
        *(
            json.dumps(as_json(MADE) | {"scores": {"sum": [1, 2, 3, 4, each]}}).encode()
            for each in (math.inf, 10**400, True, [1])
        ),
        json.dumps(as_json(MADE) | {"wrong": [0, 1, 2, 0, 1]}).encode(),
    ],
)
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
        found = measured_in(json.dumps(as_json(MADE) | {name: value}).encode())
    except BadFile:
        return
    assert 0 <= found.answers <= 10**9
    for method in found.scores:
        assert at_threshold(found, method, 1.0) is not None
    again = measured_in(json.dumps(as_json(found)).encode())
    assert again.wrong.tolist() == found.wrong.tolist()
    found.model.encode()


def test_an_unknown_limit_comes_back_and_is_json() -> None:
    unknown = replace(MADE, auroc={"sum": Interval(0.75, math.nan, math.nan, 5)})
    text = json.dumps(as_json(unknown), allow_nan=False)
    found = measured_in(text.encode()).auroc["sum"]
    assert (found.value, found.n) == (0.75, 5)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_broken_file_on_this_machine_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path))
    keep_measured(MADE)
    (tmp_path / "flags" / "0.json").write_text(json.dumps(as_json(MADE) | {"answers": math.inf}))
    found = measured_for(replace(answer_of("Rome"), provenance=(("weights", "abc"),)))
    assert found is not None
    assert found.answers == 3


def test_those_that_ship_are_of_methods_that_exist() -> None:
    for each in shipped():
        assert set(each.scores) <= set(METHODS)
        assert each.weights
        assert each.wrong.any()


def test_what_is_measured_on_this_machine_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path))
    done = replace(answer_of("Rome"), provenance=(("weights", "abc"),))
    assert measured_for(done) is None
    keep_measured(replace(MADE, part="development"))
    found = measured_for(done)
    assert found is not None
    assert found.part == "development"
    path = keep_measured(MADE)
    found = measured_for(done)
    assert found is not None
    assert found.part == "held-out"
    path.write_bytes(b"broken")
    found = measured_for(done)
    assert found is not None
    assert found.part == "development"
