"""Flags, their alternatives and sentences: by hand, and for any answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.completion import Completion
from lib.doubts.flags import Severity, doubts_of, severity, shown
from lib.doubts.methods import METHODS
from lib.doubts.presets import presets_of
from lib.doubts.sentences import sentences
from lib.doubts.words import Gate, Kind
from tests.support.answers import answer_of
from tests.support.strategies import completions

PIECES = ["The", " capital", " is", " Can", "ber", "ra", ".", " It", " has", " 400"]
LISTS = {
    " Can": ((" Can", math.log(0.6)), (" Syd", math.log(0.3)), (" Sydney", math.log(0.05)), ("\n", math.log(0.01))),
    "ber": (("terbury", math.log(0.8)), ("ber", math.log(0.1)), (".", math.log(0.02))),
}
LOGPROBS = {" Can": math.log(0.6), "ber": math.log(0.1), "ra": -0.01, " 400": -1.0}


@pytest.fixture
def done() -> Completion:
    return answer_of("".join(PIECES), LOGPROBS, pieces=PIECES, lists=LISTS)


def test_a_flag_says_where_how_much_and_what_else(done: Completion) -> None:
    (flag,) = doubts_of(done, "sum").flags(2.0)
    assert (flag.text, flag.kind, flag.first, flag.last, flag.before) == (
        "Canberra",
        Kind.NAME,
        3,
        6,
        "The capital is ",
    )
    assert flag.score == pytest.approx(-math.log(0.06) + 0.01, rel=1e-5)
    assert (flag.severity, flag.sudden) == (Severity.CLEAR, True)
    # Of the least likely token, with the word's beginning before it.
    assert [(each.text, each.whole, each.row) for each in flag.alternatives] == [
        ("Canterbury", False, 4),
        ("Can.", True, 4),
    ]
    assert shown(flag.alternatives) == [("Canterbury…", pytest.approx(0.8)), ("Can.", pytest.approx(0.02))]


def test_a_sudden_drop_is_far_below_the_tokens_before_it(done: Completion) -> None:
    found = doubts_of(done, "sum")
    assert [found.terms.text_of(place) for place in np.flatnonzero(found.sudden)] == ["Canberra"]
    assert [each.sudden for each in found.flags(0.0)] == found.sudden.tolist() == [True, False]
    alone = answer_of("Canberra", {"Canberra": -9.0})
    assert doubts_of(alone, "sum").sudden.tolist() == [False], "no token is before it"


def test_the_threshold_and_the_gate_decide_what_is_flagged(done: Completion) -> None:
    assert [each.text for each in doubts_of(done, "sum").flags(0.9)] == ["Canberra", "400"]
    assert [each.text for each in doubts_of(done, "sum", Gate.CONTENT).flags(0.1)] == ["capital", "Canberra", "400"]
    assert doubts_of(done, "sum").flags(math.inf) == ()


def test_severity_in_words() -> None:
    presets = presets_of("sum")
    found = [severity(score, presets) for score in (presets.many, presets.usual, presets.few)]
    assert found == [Severity.MILD, Severity.CLEAR, Severity.STRONG]


@pytest.mark.parametrize("name", list(METHODS))
def test_presets_fall_from_few_to_many(name: str) -> None:
    found = presets_of(name)
    assert found.few > found.usual > found.many
    assert list(found.by_name.values()) == [found.few, found.usual, found.many]


@given(completions(), st.sampled_from(list(Gate)), st.floats(0, 10))
def test_any_answer_has_flags(done: Completion, gate: Gate, threshold: float) -> None:
    found = doubts_of(done, "sum", gate)
    flags = found.flags(threshold)
    assert [each.place for each in flags] == np.flatnonzero(found.scores >= threshold).tolist()
    for each in flags:
        assert each.first <= min((one.row for one in each.alternatives), default=each.first) < each.last
        assert all(0 <= one.probability <= 1.02 for one in each.alternatives)
    assert all(each.words >= 0 for each in sentences(done))


def test_sentences_by_their_least_likely_words_and_stretch() -> None:
    text = "Rome is big. Paris was built by Zorg in 1999 for all. Yes."
    found = sentences(answer_of(text, {" Zorg": -3.0, " 1999": -2.0}))
    assert [each.text for each in found] == ["Rome is big.", "Paris was built by Zorg in 1999 for all."]
    assert [each.words for each in found] == [2, 4]
    assert found[1].lowest == pytest.approx(-3.0)
    assert math.isnan(found[0].window)
    assert found[1].window == pytest.approx(-(3.0 + 2.0 + 0.3) / 5)
    assert sentences(answer_of("...")) == ()
