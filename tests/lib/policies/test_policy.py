"""Policies: every value has one action, and what is no policy is refused with the reason."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import BadFile, InvalidRequest
from lib.policies.measures import DOUBTFUL_TERMS, MEASURES, PROBABILITY, value_of
from lib.policies.policy import READY, Action, Policy, Range, Rule, action_of, decide, from_ranges, from_threshold
from lib.policies.policy_file import MOST_BYTES, as_json, policy_in, policy_of
from lib.scores.confidence import SCORES
from lib.statistics.selective import Guarantee
from lib.statistics.thresholds import Guaranteed, sought
from tests.support.strategies import NAN, completion_of, tokens_of

INF = math.inf
DESK = READY["Support desk"]


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    measure = draw(st.sampled_from(sorted(MEASURES)))
    about = MEASURES[measure]
    numbers = st.floats(max(about.low, -1e6), min(about.high, 1e6)).filter(lambda each: each != about.low)
    thresholds = sorted(draw(st.lists(numbers, unique=True, max_size=6)), reverse=True)
    actions = draw(st.lists(st.sampled_from(Action), min_size=7, max_size=7))
    rules = tuple(Rule(action, each) for action, each in zip(actions, [*thresholds, -INF], strict=False))
    texts = draw(st.dictionaries(st.sampled_from(Action), st.text(max_size=40)))
    name = draw(st.text(min_size=1, max_size=30).filter(str.strip))
    return Policy(name, measure, rules, actions[-1], tuple(texts.items()), draw(st.text(max_size=40)))


def test_a_value_at_a_threshold_belongs_to_the_rule_of_the_threshold() -> None:
    assert [decide(DESK, value) for value in (1.0, 0.9, 0.8999, 0.7, 0.4, 0.39, 0.0)] == [
        Action.ANSWER, Action.ANSWER, Action.VERIFY, Action.VERIFY, Action.CLARIFY, Action.PERSON, Action.PERSON,
    ]  # fmt: skip


def test_a_missing_value_has_its_own_action() -> None:
    assert decide(DESK, NAN) is Action.PERSON
    assert decide(replace(DESK, missing=Action.FALL_BACK), NAN) is Action.FALL_BACK


@given(policies(), st.floats())
def test_every_value_has_the_action_of_its_range(policy: Policy, value: float) -> None:
    inside = [
        each.action
        for each in policy.ranges
        if (each.low is None or value >= each.low) and (each.high is None or value < each.high)
    ]
    if math.isnan(value):
        assert decide(policy, value) is policy.missing
    else:
        assert decide(policy, value) == (inside[0] if value < INF else policy.rules[0].action)
        assert len(inside) == 1 or value == INF


@given(policies())
def test_a_policy_survives_its_file(policy: Policy) -> None:
    assert policy_in(json.dumps(as_json(policy)).encode()) == policy


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ((), "has 0 ranges"),
        (tuple(Rule(Action.ANSWER, -float(place)) for place in range(30)), "has 30 ranges"),
        ((Rule(Action.ANSWER, -1.0),), "There is a gap: no range covers values below -1"),
        ((Rule(Action.ANSWER, -2.0), Rule(Action.VERIFY, -1.0), Rule(Action.PERSON, -INF)), "out of order"),
        ((Rule(Action.ANSWER, -1.0), Rule(Action.VERIFY, -1.0), Rule(Action.PERSON, -INF)), "both begin at -1"),
        ((Rule(Action.ANSWER, NAN), Rule(Action.PERSON, -INF)), "not a number"),
        ((Rule(Action.PERSON, NAN),), "not a number"),
        ((Rule(Action.ANSWER, INF), Rule(Action.PERSON, -INF)), "infinite"),
        (
            (Rule(Action.ANSWER, 0.8), Rule(Action.PERSON, -INF)),
            "No value reaches the threshold 0.8: a logprob is never above 0",
        ),
        ((Rule("dance", -INF),), "no action “dance”"),
    ],
)
def test_rules_that_are_no_policy(rules: tuple[Rule, ...], problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem) as caught:
        Policy("p", "mean", rules)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("measure", "threshold", "remedy"),
    [
        ("mean", 0.5, "Use a value of at most 0."),
        (DOUBTFUL_TERMS, 0.0, "Use a value above 0."),
        (PROBABILITY, 1.5, "Use a value above 0 and at most 1."),
        ("mean", INF, "Use a finite number."),
    ],
)
def test_a_threshold_out_of_bounds_says_which_to_use(measure: str, threshold: float, remedy: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Policy("p", measure, (Rule(Action.VERIFY, threshold), Rule(Action.ANSWER, -INF)))
    assert caught.value.remedy == remedy
    if remedy != "Use a finite number.":
        nearest = 0.5 if "above" in remedy else 0.0
        Policy("p", measure, (Rule(Action.VERIFY, nearest), Rule(Action.ANSWER, -INF)))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "  "}, "no name"),
        ({"name": "n" * 101}, "101 characters"),
        ({"note": "n" * 2_001}, "2,001 characters"),
        ({"measure": "luck"}, "no measure “luck”"),
        ({"missing": "dance"}, "no action “dance”"),
        ({"texts": ((Action.VERIFY, "a"), (Action.VERIFY, "b"))}, "two texts"),
        ({"rules": (Rule(Action.ANSWER, 0.0), Rule(Action.PERSON, -INF))}, "Every value reaches the threshold 0"),
        (
            {"measure": DOUBTFUL_TERMS, "rules": (Rule(Action.VERIFY, -1.0), Rule(Action.ANSWER, -INF))},
            "Every value reaches the threshold -1: a doubt",
        ),
    ],
)
def test_other_faults_of_a_policy(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        replace(DESK, **fields)


@pytest.mark.parametrize(
    ("ranges", "problem"),
    [
        ([(0.5, None), (None, 0.4)], "There is a gap: no range covers values from 0.4 to 0.5"),
        ([(0.5, None), (None, 0.6)], "Two ranges overlap from 0.5 to 0.6"),
        ([(None, None), (None, None)], "Two ranges overlap. "),
        ([(0.5, None), (0.4, None), (None, 0.4)], "Two ranges overlap from 0.5 up"),
        ([(0.4, None), (None, 0.3), (None, 0.4)], "Two ranges overlap below 0.3"),
        ([(None, 0.9), (0.2, 0.3), (0.9, None)], "Two ranges overlap from 0.2 to 0.3"),
        ([(None, 0.5), (0.5, 0.7), (0.5, None)], "Two ranges overlap from 0.5 to 0.7"),
        ([(0.5000000001, None), (None, 0.5)], "no range covers values from 0.5 to 0.5000000001"),
        ([(0.5, None)], "No range covers values below 0.5"),
        ([(None, 0.5)], "No range covers values from 0.5 up"),
        ([(0.6, 0.5), (None, 0.6)], "from 0.6 to 0.5 is empty"),
        ([(NAN, None)], "not a number"),
        ([], "has 0 ranges"),
        ([(0.1, 0.2)] * 21, "has 21 ranges"),
        ([(1.5, None), (None, 1.5)], "No value reaches the threshold 1.5: a probability is between 0 and 1"),
    ],
)
def test_ranges_that_are_no_policy(ranges: list[tuple[float | None, float | None]], problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        from_ranges("p", PROBABILITY, [Range("verify", *each) for each in ranges])


def test_ranges_may_come_in_any_order_and_end_at_the_measures_limits() -> None:
    found = from_ranges("p", PROBABILITY, [Range("verify", 0.0, 0.5), Range("answer", 0.5, 1.0)])
    assert found.rules == (Rule(Action.ANSWER, 0.5), Rule(Action.VERIFY, -INF))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), lambda each: (
    st.lists(each, max_size=3)
    | st.dictionaries(st.sampled_from(["kind", "version", "ranges", "action", "from", "below", "name"]), each)
)))  # fmt: skip
def test_whatever_a_file_holds_is_refused_as_a_file(values: object) -> None:
    for each in (values, as_json(DESK) | {"ranges": values}, as_json(DESK) | {"texts": values}):
        if each == as_json(DESK) | {"texts": {}}:
            continue
        with pytest.raises(BadFile) as caught:
            policy_of(each)
        assert caught.value.cause.endswith((".", "”."))
        assert caught.value.remedy


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": 2}, "cannot read"),
        ({"version": True}, "cannot read"),
        ({"kind": "candor calibration"}, "not a Candor policy"),
        ({"more": 1}, "no field “more”"),
        ({"name": 3}, "“name” is missing or not a text"),
        ({"unit": "nats"}, "not that of the measure"),
        ({"missing": "dance"}, "no action “dance”"),
        ({"missing": 3}, "no action “3”"),
        ({"texts": {"dance": "x"}}, "no action “dance”"),
        ({"ranges": [{"action": "answer", "from": True, "below": None}]}, "is not a number"),
        ({"ranges": [{"action": "answer", "from": INF, "below": None}]}, "infinite"),
        ({"ranges": [{"action": "answer", "from": 10**400, "below": None}]}, "infinite"),
        ({"ranges": [{"action": "answer", "from": None, "till": None}]}, "Range 1"),
    ],
)
def test_files_that_are_no_policy(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(BadFile, match=problem):
        policy_of(as_json(DESK) | changes)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 90_000, b"9" * 9_000, b" " * (MOST_BYTES + 1), b'{"a": 1, "a": 2}']
)
def test_bytes_that_are_no_policy(data: bytes) -> None:
    with pytest.raises(BadFile):
        policy_in(data)


def test_a_guaranteed_threshold_answers_from_itself_on() -> None:
    found = Guaranteed(0.05, 0.9, Guarantee(-0.25, 120, 2, 400, 0.05, 0.9))
    policy = from_threshold(found, "sum")
    assert [decide(policy, value) for value in (0.0, -0.25, math.nextafter(-0.25, -INF), -INF)] == [
        Action.ANSWER, Action.ANSWER, Action.VERIFY, Action.VERIFY,
    ]  # fmt: skip
    assert "90% certainty, at most 5%" in policy.note
    assert "400 labelled answers, of which 120" in policy.note


def test_a_guaranteed_threshold_of_doubts_answers_up_to_itself() -> None:
    found = Guaranteed(0.05, 0.9, Guarantee(-2.5, 120, 2, 400, 0.05, 0.9))  # of doubts with their sign changed
    policy = from_threshold(found, DOUBTFUL_TERMS, otherwise=Action.RETRIEVE)
    assert [decide(policy, value) for value in (0.0, 2.5, math.nextafter(2.5, INF), INF)] == [
        Action.ANSWER, Action.ANSWER, Action.RETRIEVE, Action.RETRIEVE,
    ]  # fmt: skip


def test_a_threshold_that_all_pass_and_one_that_is_not_there() -> None:
    everything = Guaranteed(0.2, 0.9, Guarantee(-INF, 400, 2, 400, 0.2, 0.9))
    assert decide(from_threshold(everything, "sum"), -INF) is Action.ANSWER
    missing = sought(np.array([0.1, 0.2]), np.array([True, True]), 0.05, 0.9)
    with pytest.raises(InvalidRequest, match=r"No threshold keeps the risk at 5%\. Needs at least"):
        from_threshold(missing, "sum")


def test_the_ready_policies_say_that_they_are_not_measured() -> None:
    assert all("not measured on your model" in each.note for each in READY.values())
    assert all(name == each.name for name, each in READY.items())


def test_the_value_of_a_measure() -> None:
    done = completion_of(tokens_of("?"), tokens_of("a", "b", logprobs=[-0.5, -1.5]))
    found = {name: value_of(name, done) for name in MEASURES}
    assert {name: found[name] for name in SCORES} == {
        name: each.of(np.array([-0.5, -1.5])) for name, each in SCORES.items()
    }
    assert all(math.isnan(found[name]) for name in ("choice", PROBABILITY, DOUBTFUL_TERMS))
    assert value_of(PROBABILITY, done, probability=0.25) == 0.25
    assert value_of(DOUBTFUL_TERMS, done, doubt=3.0) == 3.0
    assert math.isnan(value_of("sum", completion_of(tokens_of("?"), tokens_of("a"))))


def test_the_names_of_actions() -> None:
    assert action_of("retrieve more") is Action.RETRIEVE
    with pytest.raises(InvalidRequest, match="answer, verify, retrieve more"):
        action_of("")
