"""An exported calibration: what it says of answers, of which models, and that any file is read or refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.completion import Completion, Origin
from lib.core.tokens import TokenKind
from lib.errors import BadFile
from lib.evaluation.calibration import MOST_CHARACTERS, Calibration, calibration_in, calibration_of
from lib.scores.confidence import CHOICE
from lib.statistics.maps import Kind, Map
from tests.support.scripted_engine import tokens_of

FITTED = Calibration(Map(Kind.PLATT, 2.0, -0.5, 1.0), "sum", 200, "SmolLM2", "embedded", "abc", "sums, 200 rows")


def answer(weights: str = "abc", model: str = "embedded", logprob: float = -0.5) -> Completion:
    return Completion(
        None,
        model,
        tokens_of("p"),
        tokens_of("four", logprob),
        "four",
        provenance=(("weights", weights),) * bool(weights),
    )


def test_the_probability_by_hand() -> None:
    done = answer()
    count = len(done.generated)
    odds = 2.0 * (-0.5 * count) - 0.5 * math.log(count) + 1.0
    assert FITTED.probability(done) == pytest.approx(1 / (1 + math.exp(-odds)))


def test_it_speaks_of_its_own_model_only() -> None:
    assert math.isnan(FITTED.probability(answer("other")))
    assert math.isnan(FITTED.probability(answer("")))
    of_arn = replace(FITTED, weights="", source="arn:aws:bedrock:us-east-1:1:imported-model/a")
    assert not math.isnan(of_arn.probability(answer("", of_arn.source)))
    assert math.isnan(of_arn.probability(answer("", "arn:aws:bedrock:us-east-1:1:imported-model/b")))


def test_an_answer_without_logprobs_has_none() -> None:
    assert math.isnan(FITTED.probability(answer(logprob=math.nan)))


def test_candidates_and_branches_are_not_the_models_own() -> None:
    assert math.isnan(FITTED.probability(replace(answer(), origin=Origin.SCORED)))
    done = answer()
    kinds = done.generated.kinds.copy()
    kinds[0] = TokenKind.FORCED
    assert math.isnan(FITTED.probability(replace(done, generated=replace(done.generated, kinds=kinds))))


def test_a_score_of_choices_says_nothing_of_other_answers() -> None:
    of_choices = replace(FITTED, score=CHOICE)
    assert not of_choices.usable
    assert math.isnan(of_choices.probability(answer()))


def test_written_and_read() -> None:
    isotonic = replace(FITTED, map=Map(Kind.ISOTONIC, scores=(-2.0, 0.0), probabilities=(0.1, 0.9)))
    for each in (FITTED, isotonic):
        assert calibration_in(json.dumps(each.as_json()).encode()) == each


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "x"}, {"version": 2}, {"score": "beauty"}, {"score": []}, {"n": 0}, {"n": True}, {"n": "5"},
        {"model": 1},
        {"weights": "x" * 500}, {"map": None}, {"map": {"kind": "platt", "slope": float("nan")}},
        {"map": {"kind": "isotonic", "scores": [1, 0], "probabilities": [0, 1]}},
        {"scores": [1, 0]}, {"scores": [0]}, {"tokens": [1, math.inf]}, {"tokens": [True, 2]}, {"tokens": "12"},
    ],
)  # fmt: skip
def test_what_is_no_calibration_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(BadFile):
        calibration_of(FITTED.as_json() | changed)


def test_beyond_what_it_was_fitted_on_the_nearest_point_counts() -> None:
    """A map of short answers says nothing of long ones, however steep it is."""
    steep = replace(FITTED, map=Map(Kind.PLATT, 6.0, 20.0, 0.0), scores=(-3.0, -0.5), tokens=(1, 2))
    long, short = answer(logprob=-3 / 4), replace(FITTED, map=steep.map, scores=None, tokens=None)
    assert short.probability(long) > 0.9999
    assert steep.probability(long) == pytest.approx(1 / (1 + math.exp(-(6.0 * -3.0 + 20.0 * math.log(2)))))
    assert steep.is_beyond(long)
    assert not short.is_beyond(long)
    inside = replace(steep, scores=(-9.0, 0.0), tokens=(1, 9))
    assert not inside.is_beyond(long)
    assert inside.probability(long) == short.probability(long)
    assert not steep.is_beyond(answer("other")), "it has no probability"
    assert calibration_in(json.dumps(steep.as_json()).encode()) == steep


@given(st.floats(-1e3, 0), st.floats(-1e3, 0), st.integers(1, 9), st.integers(1, 9), st.floats(-50, 0))
def test_a_probability_is_one_that_was_seen(a: float, b: float, c: int, d: int, logprob: float) -> None:
    scores, tokens = (min(a, b), max(a, b)), (min(c, d), max(c, d))
    found = replace(FITTED, scores=scores, tokens=tokens)
    corners = [float(found.map(np.array([x]), np.array([n]))[0]) for x in scores for n in tokens]
    assert min(corners) - 1e-9 <= found.probability(answer(logprob=logprob)) <= max(corners) + 1e-9


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 5_000, b" " * (MOST_CHARACTERS + 1), b"null", b"[]"])
def test_a_file_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(BadFile):
        calibration_in(data)


LEAVES = st.none() | st.booleans() | st.text(max_size=5) | st.floats() | st.integers()
ANYTHING = st.recursive(
    LEAVES, lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=5), of, max_size=3)
)


@given(st.sampled_from(sorted(FITTED.as_json())), ANYTHING)
def test_any_value_in_any_field_is_read_or_refused(name: str, value: object) -> None:
    try:
        found = calibration_of(FITTED.as_json() | {name: value})
    except BadFile:
        return
    p = found.probability(answer())
    assert math.isnan(p) or 0 <= p <= 1
