"""Scores of terms and of answers: by hand, and what holds for any answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from lib.core.completion import Completion
from lib.core.tokens import TokenKind
from lib.doubts import answers, methods
from lib.doubts.answers import ANSWER_METHODS, first_content_token
from lib.doubts.methods import METHODS, scored
from lib.doubts.words import Gate, words
from tests.support.answers import answer_of
from tests.support.strategies import completions

LISTS = {
    " Rome": ((" Paris", math.log(0.5)), (" Rome", math.log(0.2)), (" the", math.log(0.2)), (" dog", math.log(0.05))),
    " Italy": ((" Italy", math.log(0.9)), (" France", math.log(0.06)), (" ITALY", math.log(0.02)), ("a", -5.0)),
}
LOGPROBS = {" Rome": math.log(0.2), " Italy": math.log(0.9)}


def of(name: str, done: Completion) -> list[float]:
    return scored(done, METHODS[name])[1].tolist()


def test_by_hand() -> None:
    done = answer_of(
        "It is Rome Italy, 12",
        {**LOGPROBS, " 12": -2.0},
        lists=LISTS,
        pieces=["It", " is", " Rome", " Italy", ",", " 12"],
    )
    rome, italy = -math.log(0.2), -math.log(0.9)
    assert of("sum", done) == pytest.approx([rome + italy, 2.0])
    assert of("max", done) == pytest.approx([rome, 2.0])
    assert of("mean", done) == pytest.approx([(rome + italy) / 2, 2.0])
    assert of("first", done) == pytest.approx([rome, 2.0])
    assert of("length", done) == [2, 1]
    assert of("margin", done) == pytest.approx([1 - 0.3, math.nan], nan_ok=True)
    assert of("drop", done)[0] == pytest.approx(rome - 0.1)  # two tokens of 0.1 before
    # Of the alternatives to " Rome", only " Paris" begins with a capital, too; " ITALY" is " Italy" in other letters.
    shares = (0.2 / (0.2 + 0.5), 0.92 / (0.92 + 0.06))
    assert of("kind", done)[0] == pytest.approx(-sum(map(math.log, shares)), rel=1e-5)


def test_tokens_put_into_the_models_mouth_do_not_count() -> None:
    kinds = [TokenKind.FORCED, TokenKind.TEXT]
    done = answer_of("Canberra", [-5.0, -1.0], pieces=["Can", "berra"], kinds=kinds)
    assert of("sum", done) == pytest.approx([1.0])


def test_a_term_without_a_logprob_is_not_told() -> None:
    done = answer_of("Rome and Paris", [math.nan, -0.1, -math.inf])
    assert of("sum", done) == pytest.approx([math.nan, math.inf], nan_ok=True)


@given(completions())
def test_any_answer_has_scores(done: Completion) -> None:
    for gate in Gate:
        for method in METHODS.values():
            found, values = scored(done, method, gate)
            assert values.shape == (len(found),)
    for each in ANSWER_METHODS.values():
        assert isinstance(each.of(done), float)


@given(completions())
def test_the_sum_is_never_below_the_highest(done: Completion) -> None:
    found = words(done)
    total, most = METHODS["sum"].of(done, found), METHODS["max"].of(done, found)
    told = ~np.isnan(total)
    assert (
        total[told] >= most[told] - 0.02 * (found.last - found.first)[told]
    ).all()  # a logprob may be rounded above 0


def test_the_first_content_token_is_that_of_the_answer_itself() -> None:
    assert first_content_token(answer_of("The capital of Italy is Rome.")) == 3
    assert first_content_token(answer_of("It is a dog")) == 3
    assert first_content_token(answer_of("It is")) == 0
    assert first_content_token(answer_of("...")) is None
    assert math.isnan(ANSWER_METHODS["first content"].of(answer_of("...")))


def test_answers_by_hand() -> None:
    done = answer_of("It is Rome Italy", LOGPROBS, lists=LISTS)
    values = {name: each.of(done) for name, each in ANSWER_METHODS.items()}
    assert values["sum"] == pytest.approx(-0.2 + math.log(0.2) + math.log(0.9))
    assert values["first content"] == pytest.approx(math.log(0.2))
    assert values["first content margin"] == pytest.approx(0.3)
    assert values["terms sum"] == values["terms min"] == pytest.approx(math.log(0.2) + math.log(0.9))
    assert values["worst tenth"] == pytest.approx(math.log(0.2))
    assert values["window"] == pytest.approx(values["mean"])
    assert values["length"] == -4
    listed = np.array([0.5, 0.2, 0.2, 0.05]) / 0.95
    assert values["first content entropy"] == pytest.approx((listed * np.log(listed)).sum() / math.log(4), rel=1e-5)


def test_defaults_are_methods() -> None:
    assert methods.DEFAULT in METHODS
    assert answers.DEFAULT in ANSWER_METHODS
    assert all(name == each.name for name, each in (METHODS | ANSWER_METHODS).items())
