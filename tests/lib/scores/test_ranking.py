"""Rankings, against cases worked by hand."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lib.core.completion import Completion
from lib.core.tokens import TokenKind
from lib.scores.ranking import ORDERS, joined, lengths_differ, normalised, overlap, ranked, scores_of, words_of
from tests.support.strategies import completion_of, tokens_of


def said(text: str, *logprobs: float, origin: str = "generated") -> Completion:
    words = [f"{'' if place == 0 else ' '}{word}" for place, word in enumerate(text.split(" "))]
    made = completion_of(tokens_of("?"), tokens_of(*words, logprobs=list(logprobs)), text=text)
    return replace(made, origin=origin)


def test_scores_by_hand() -> None:
    scores = scores_of(said("a b c d", -0.1, -0.2, -0.3, -2.0))
    assert (scores.tokens, scores.impossible) == (4, 0)
    assert scores.total == pytest.approx(-2.6)
    assert scores.mean == pytest.approx(-0.65)
    assert scores.lowest == pytest.approx(-0.65)  # shorter than the window: all of it
    assert scores.tenth == pytest.approx(-2.0)  # of up to ten tokens, the least sure one
    assert scores.balanced == pytest.approx(-0.65)
    assert scores.perplexity == pytest.approx(math.exp(0.65))


def test_the_least_confident_span_counts() -> None:
    values = [-0.1] * 12 + [-3.0] * 8 + [-0.1] * 4
    scores = scores_of(said(" ".join("w" * 24), *values))
    mean = (16 * -0.1 + 8 * -3.0) / 24
    assert scores.lowest == pytest.approx(-3.0)
    assert scores.mean == pytest.approx(mean)
    assert scores.balanced == pytest.approx(0.7 * mean + 0.3 * -3.0)
    assert scores.tenth == pytest.approx(-3.0)
    floored = scores_of(said(" ".join("w" * 8), *[-20.0] * 8))
    assert floored.balanced == pytest.approx(0.7 * -20 + 0.3 * -10)


@pytest.mark.parametrize(("tokens", "place"), [(1, 0), (10, 0), (11, 1), (20, 1), (21, 2)])
def test_the_tenth(tokens: int, place: int) -> None:
    values = sorted(-float(number) for number in range(1, tokens + 1))
    assert scores_of(said(" ".join("w" * tokens), *values)).tenth == pytest.approx(values[place])


def test_what_was_forced_and_what_is_impossible() -> None:
    done = said("a b c", -1.0, -9.0, -3.0)
    forced = replace(
        done,
        generated=done.generated.with_kinds(np.array([TokenKind.TEXT, TokenKind.FORCED, TokenKind.TEXT], np.uint8)),
    )
    assert (scores_of(forced).tokens, scores_of(forced).mean) == (2, pytest.approx(-2.0))
    scores = scores_of(said("a b", -1.0, -math.inf))
    assert (scores.tokens, scores.impossible, scores.total, scores.mean) == (2, 1, -math.inf, pytest.approx(-1.0))
    nothing = scores_of(said("a", math.nan))
    assert nothing.tokens == 0
    assert all(math.isnan(each) for each in (nothing.total, nothing.mean, nothing.balanced, nothing.perplexity))


def test_duplicates_are_one_answer_and_samples_agree() -> None:
    found = ranked(
        [
            said("Sydney", -0.5),
            said("Canberra.", -0.2),
            said("canberra", -0.9),
            said("Sydney", -0.5),
            said("Perth", -4.0, origin="scored"),
        ],
        "agreement",
    )
    by_text = {each.completion.text: each for each in found}
    assert list(by_text) == ["Sydney", "Canberra.", "canberra", "Perth"]
    assert by_text["Sydney"].places == (0, 3)
    assert (by_text["Sydney"].sampled, by_text["Perth"].sampled) == (2, 0)
    assert by_text["Sydney"].agreement == by_text["canberra"].agreement == 0.5
    assert by_text["Perth"].agreement == 0.0
    # One of three other samples says the same; of one that was given, all four are others.
    assert by_text["Sydney"].consistency == pytest.approx(1 / 3)
    assert by_text["Sydney"].both == pytest.approx(math.exp(-0.5) / 3)
    assert by_text["Perth"].consistency == 0.0


def test_the_published_pair() -> None:
    pair = [said("Beat the iron", -0.46, -0.46, -0.46), said("Strike while", -0.39, -0.39)]
    for order in ("balanced", "mean", "sum"):
        assert ranked(pair, order)[0].completion.text == "Strike while"
    assert all(math.isnan(each.agreement) is False for each in ranked(pair))


@pytest.mark.parametrize("order", ORDERS)
def test_what_has_no_score_comes_last(order: str) -> None:
    given = [said("x", math.nan, origin="scored"), said("y", -1.0, origin="scored")]
    last = ranked(given, order)[-1]
    assert last.completion.text == ("x" if order not in ("agreement", "both") else "y")
    assert ranked([], order) == ()


def test_lengths() -> None:
    assert not lengths_differ(ranked([said("a b", -1, -1), said("a b c", -1, -1, -1)]))
    assert lengths_differ(ranked([said("a", -1), said("a b", -1, -1)]))


def test_what_is_the_same() -> None:
    assert normalised(" Paris \n is  it. ") == normalised("paris is IT!") == "paris is it"
    assert normalised("東京。") == "東京"
    assert overlap(Counter(["a", "b", "b"]), Counter(["b", "b", "c"])) == pytest.approx(2 / 3)
    assert overlap(words_of("東京です。"), words_of("京都です")) == pytest.approx(3 / 4)
    assert overlap(Counter(), Counter()) == 1.0
    assert overlap(Counter("a"), Counter()) == 0.0


def test_candidates_go_on_from_a_raw_prompt() -> None:
    assert joined("It means", "Strike") == " Strike"
    assert joined("It means ", "Strike") == joined("", "Strike") == "Strike"
    assert joined("It means", " Strike") == " Strike"
    assert joined("意味は", "打て") == "打て"
