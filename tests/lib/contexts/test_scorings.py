"""Scorings by hand, and what they keep to."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contexts.prompting import filled
from lib.contexts.scorings import (
    SCORINGS,
    agreement,
    bm25,
    combined,
    draft_score,
    gain,
    passage_tokens,
    question_score,
    standardized,
)
from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.tokens import Tokens
from tests.support.answers import answer_of

TEMPLATE = "{passage}\n\nQuestion: {question}\nAnswer:"


def scored_prompt(pieces: list[str], logprobs: list[float]) -> Completion:
    prompt: Tokens = answer_of("".join(pieces), logprobs, pieces=pieces).generated
    return Completion(Request(prompt="x"), "m", prompt, prompt[:0], "")


def test_the_question_is_found_by_its_characters() -> None:
    prompt = filled(TEMPLATE, "Who? Rome.", "Who?")
    pieces = ["Wh", "o? Ro", "me", ".\n\n", "Question", ":", " W", "ho", "?\n", "Answer", ":"]
    values = [math.nan, -9, -9, -9, -9, -9, -1.0, -2.0, -6.0, -9, -9]
    done = scored_prompt(pieces, values)
    assert question_score(done, prompt) == pytest.approx(-3.0)  # "?\n" straddles the end, " W" the beginning
    assert passage_tokens(done, prompt) == 4


def test_a_chat_template_around_the_prompt_changes_nothing() -> None:
    prompt = filled("{passage}\n{question}\n", "Rome is 日本.", "Who é?")
    pieces = [
        "<user>",
        "Rome",
        " is",
        " 日",
        "本.",
        "\n",
        "Who",
        " é",
        "?",
        "<end>",
        "Who",
        " é?",
    ]
    done = scored_prompt(pieces, [-9.0] * 6 + [-1.0, -2.0, -3.0] + [-9.0] * 3)
    assert question_score(done, prompt) == pytest.approx(-2.0)
    assert passage_tokens(done, prompt) == 4


def test_a_passage_that_the_tokenizer_changes_leaves_the_question() -> None:
    prompt = filled(TEMPLATE, "Who? It’s ﬁne.", "Who?")
    pieces = ["Who", "? It's fine.", "\n\nQuestion:", " Who", "?", "\nAnswer:"]
    assert question_score(scored_prompt(pieces, [-9, -9, -9, -1.0, -3.0, -9]), prompt) == pytest.approx(-2.0)


def test_a_prompt_that_is_not_found_has_no_score() -> None:
    done = scored_prompt(["Rome", " and", " more"], [-1.0, -1.0, -1.0])
    assert math.isnan(question_score(done, filled(TEMPLATE, "Rome", "Who?")))
    assert passage_tokens(done, filled(TEMPLATE, "Oslo", "Who?")) == 0
    unscored = scored_prompt(["Rome", "\n\n", "Question:", " Who?", "\n", "Answer:"], [math.nan] * 6)
    assert math.isnan(question_score(unscored, filled(TEMPLATE, "Rome", "Who?")))


@given(st.lists(st.sampled_from(["a", "é", "日", " ", "\n", "{", "?"]), min_size=1, max_size=12), st.data())
def test_any_split_into_tokens_finds_the_question(letters: list[str], data: st.DataObject) -> None:
    prompt = filled("P {passage} Q{question}Z", "abc", "".join(letters))
    cuts = data.draw(st.sets(st.integers(1, len(prompt.text) - 1)))
    edges = [0, *sorted(cuts), len(prompt.text)]
    pieces = [prompt.text[a:b] for a, b in pairwise(edges)]
    start, end = prompt.question
    inside = [a < end and b > start for a, b in pairwise(edges)]
    done = scored_prompt(pieces, [-1.0 if each else -100.0 for each in inside])
    assert question_score(done, prompt) == pytest.approx(-1.0)


def test_drafts_and_gain_by_hand() -> None:
    own, other = answer_of("In Rome", [-1.0, -0.5]), answer_of("In Rome", [-2.0, -3.0])
    assert draft_score(own) == pytest.approx(-0.75)
    assert gain(own, other) == pytest.approx(3.5)
    assert math.isnan(gain(own, answer_of("In Rome", pieces=["In Ro", "me"])))
    assert math.isnan(draft_score(answer_of("")))


def test_bm25_by_hand() -> None:
    """The formula of Lucene, k₁ = 1.5 and b = 0.75, written out; bm25s leaves out the constant factor k₁ + 1."""
    texts = ["Rome lies on the Tiber.", "Oslo is a city; Oslo lies north.", "Bern."]
    lengths, frequencies = [3, 5, 1], {"oslo": [0, 2, 0], "lies": [1, 1, 0]}
    expected = np.zeros(3)
    for counts in frequencies.values():
        found = sum(each > 0 for each in counts)
        idf = math.log(1 + (3 - found + 0.5) / (found + 0.5))
        for place, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            expected[place] += idf * count / (count + 1.5 * (1 - 0.75 + 0.75 * length / np.mean(lengths)))
    np.testing.assert_allclose(bm25("Where lies Oslo?", texts), expected, rtol=1e-5)
    assert bm25("Where is it?", texts).tolist() == [0, 0, 0]
    assert bm25("", ["", "a"]).tolist() == [0, 0]


SCORES = st.lists(st.floats(-100, 100) | st.just(math.nan), min_size=1, max_size=8).map(np.array)


@given(SCORES, st.floats(0.1, 10), st.floats(-50, 50))
def test_standardized_scores_do_not_depend_on_the_scale(scores: np.ndarray, factor: float, shift: float) -> None:
    found = standardized(scores)
    assert np.isnan(found).tolist() == np.isnan(scores).tolist()
    known = found[~np.isnan(found)]
    if len(known) and np.nanstd(scores) > 1e-6:
        assert known.mean() == pytest.approx(0, abs=1e-9)
        assert known.std() == pytest.approx(1)
        np.testing.assert_allclose(standardized(scores * factor + shift), found, atol=1e-5)


def test_a_combination_is_over_the_scores_that_are_known() -> None:
    scores = {"a": np.array([1.0, 3.0, math.nan]), "b": np.array([3.0, 1.0, 5.0]), "c": np.array([math.nan] * 3)}
    assert combined(scores, {"a": 1.0}).tolist()[:2] == [-1.0, 1.0]
    both = combined(scores, {"a": 1.0, "b": 3.0, "c": 9.0, "gone": 1.0, "b ": 0.0})
    assert both[0] == pytest.approx(-0.25)
    assert both[2] == pytest.approx(standardized(scores["b"])[2])
    assert np.isnan(combined(scores, {})).all()
    assert combined({"a": np.array([2.0, 2.0])}, {"a": 1.0}).tolist() == [0.0, 0.0]


def test_rank_agreement() -> None:
    up = np.array([1.0, 2.0, 3.0, math.nan])
    assert agreement(up, up) == pytest.approx(1)
    assert agreement(up, -up) == pytest.approx(-1)
    assert agreement(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])) == pytest.approx(1 / 3)
    assert math.isnan(agreement(up, np.zeros(4)))
    assert math.isnan(agreement(up[:1], up[:1]))


def test_every_scoring_says_what_it_is() -> None:
    for name, each in SCORINGS.items():
        assert each.name == name
        assert each.formula.endswith(".")
        assert each.label[0].isupper()
        assert (each.calls > 0) == (each.price != "free")
