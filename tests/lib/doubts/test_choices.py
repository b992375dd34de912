"""Distributions over labels, worked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.completion import Completion
from lib.core.tokens import TokenKind
from lib.doubts.choices import Distribution, candidates_of, checked_labels, distribution, from_answer
from lib.errors import InvalidRequest
from tests.lib.doubts.test_spread import Step, way
from tests.support.strategies import INF, NAN, completion_of, tokens_of


def scored(*logprobs: float, stop: float | None = None) -> Completion:
    values = [*logprobs, *([] if stop is None else [stop])]
    made = tokens_of(*map(str, range(len(values))), logprobs=values)
    kinds = [TokenKind.TEXT] * len(logprobs) + [TokenKind.STOP] * (stop is not None)
    return completion_of(tokens_of("?"), made.with_kinds(np.array(kinds, np.uint8)), origin="scored")


def column(found: Distribution, name: str) -> list[float]:
    return [getattr(each, name) for each in found.rows]


def logs(*shares: float) -> list[float]:
    return [math.log(each) for each in shares]


def test_a_label_of_several_tokens_has_the_probability_of_them_all() -> None:
    found = distribution(["A", "Buenos Aires"], [scored(*logs(0.2)), scored(*logs(0.5, 0.4))])
    assert column(found, "logprob") == pytest.approx(logs(0.2, 0.2))
    assert column(found, "probability") == pytest.approx([0.5, 0.5])
    root = math.sqrt(0.2)
    assert column(found, "by_token") == pytest.approx([0.2 / (0.2 + root), root / (0.2 + root)])
    weights = [0.2, 0.2 ** (1 / 12)]
    assert column(found, "by_character") == pytest.approx([each / sum(weights) for each in weights])
    assert all(map(math.isnan, column(found, "prior") + column(found, "corrected")))
    assert found.notes == ()


def test_the_prior_is_divided_out() -> None:
    own, prior = [scored(*logs(each)) for each in (0.6, 0.2)], [scored(*logs(each)) for each in (0.8, 0.1)]
    found = distribution(["common", "rare"], own, prior)
    assert column(found, "probability") == pytest.approx([0.75, 0.25])
    assert column(found, "prior") == pytest.approx([8 / 9, 1 / 9])
    assert column(found, "corrected") == pytest.approx([(0.6 / 0.8) / (0.75 + 2), 2 / 2.75])
    for missing in (scored(-INF), scored(NAN)):
        broken = distribution(["common", "rare"], own, [prior[0], missing])
        assert column(broken, "probability") == pytest.approx([0.75, 0.25])
        assert all(map(math.isnan, column(broken, "corrected")))
        assert "prior cannot be divided out" in broken.notes[0]


def test_labels_that_begin_each_other_need_an_end() -> None:
    labels = ["yes", "yes, but", "no"]
    unmarked = distribution(labels, [scored(*logs(0.8)), scored(*logs(0.8, 0.5)), scored(*logs(0.1))])
    assert column(unmarked, "probability")[0] == pytest.approx(0.8 / 1.3)
    (note,) = unmarked.notes
    assert note.startswith("The label “yes” begins “yes, but”. Its probability includes that of the longer one")
    own = [scored(*logs(0.8), stop=math.log(0.3)), scored(*logs(0.8, 0.5), stop=0.0), scored(*logs(0.1), stop=0.0)]
    marked = distribution(labels, own)
    assert column(marked, "probability") == pytest.approx([0.24 / 0.74, 0.4 / 0.74, 0.1 / 0.74])
    assert marked.notes == ()
    partly = distribution(labels, [*own[:2], scored(*logs(0.1))])  # not all have a stop token
    assert column(partly, "probability") == pytest.approx([0.8 / 1.3, 0.4 / 1.3, 0.1 / 1.3])
    assert len(partly.notes) == 1
    assert distribution(labels, [scored(-1.0)] * 3, end="\n").notes == ()


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (["a"], "number of labels is 1"),
        ([], "number of labels is 0"),
        ([str(each) for each in range(201)], "number of labels is 201"),
        (["a", " "], "is empty"),
        (["a", "b" * 1_001], "1,001 characters"),
        (["Yes", "yes."], "“Yes” and “yes.” are the same"),
        (["a", " a"], "are the same"),
        (["ﬁne", "FINE"], "are the same"),
        (["two  words", "two words"], "are the same"),
    ],
)
def test_labels_that_are_refused(labels: list[str], problem: str) -> None:
    for call in (
        lambda: checked_labels(labels),
        lambda: candidates_of("?", labels),
        lambda: distribution(labels, [scored(-1.0)] * len(labels)),
        lambda: from_answer(scored(-1.0), labels),
    ):
        with pytest.raises(InvalidRequest, match=problem):
            call()


def test_labels_of_punctuation_differ() -> None:
    assert checked_labels([".", "!"]) == (".", "!")


def test_candidates() -> None:
    assert candidates_of("Is it?\nAnswer:", ["yes", "no "], "\n") == (" yes\n", " no\n")
    assert candidates_of("Answer: ", ["yes", "no"]) == ("yes", "no")


def test_what_is_missing_is_said() -> None:
    missing = distribution(["a", "b"], [scored(-1.0), scored(NAN)])
    assert all(map(math.isnan, column(missing, "probability")))
    assert missing.notes == ("The label “b” has no logprobs.",)
    impossible = distribution(["a", "b"], [scored(-INF), scored(-INF)])
    assert impossible.notes == ("The model gives all labels a probability of 0.",)
    assert column(distribution(["a", "b"], [scored(-1.0), scored(-INF)]), "probability") == [1.0, 0.0]
    with pytest.raises(InvalidRequest, match="not scored"):
        distribution(["a", "b"], [scored(-1.0)])


@given(st.lists(st.floats(-700, 0), min_size=2, max_size=8), st.lists(st.floats(-700, 0), min_size=8, max_size=8))
def test_probabilities_add_up(values: list[float], priors: list[float]) -> None:
    labels = [str(each) for each in range(len(values))]
    found = distribution(labels, [scored(each) for each in values], [scored(each) for each in priors[: len(values)]])
    for name in ("probability", "prior", "corrected", "by_token", "by_character"):
        assert sum(column(found, name)) == pytest.approx(1)
    assert column(found, "probability")[int(np.argmax(np.float32(values)))] == max(column(found, "probability"))


def answer(*steps: Step, labels: Sequence[str] = ("Yes", "No"), **fields: Any) -> Distribution:
    return from_answer(completion_of(tokens_of("?"), way(*steps, **fields)), labels)


def test_the_first_content_token_of_an_answer() -> None:
    found = answer(
        ("\n", {"\n": 1.0}), (' "', {' "': 0.9, "x": 0.1}),
        ("yes", {"yes": 0.5, " Yes": 0.2, "YES": 0.05, "No": 0.15, '"': 0.04, "Maybe": 0.06}), (".", {".": 1.0}),
    )  # fmt: skip
    assert column(found, "probability") == pytest.approx([0.75, 0.15])
    assert column(found, "logprob") == pytest.approx(logs(0.75, 0.15))
    assert (found.undecided, found.others) == pytest.approx((0.04, 0.06), abs=1e-6)
    assert found.notes == ()


def test_labels_that_begin_alike_in_an_answer() -> None:
    labels = ["positive", "possible", "no"]
    found = answer(
        ("pos", {"pos": 0.8, " Pos": 0.1, "no": 0.1}), ("itive", {"itive": 0.75, "sible": 0.25}), labels=labels
    )
    assert column(found, "probability") == pytest.approx([0.6, 0.2, 0.1])
    assert found.undecided == pytest.approx(0.1)


def test_an_end_sets_a_label_apart_from_a_longer_one() -> None:
    labels = ["yes", "yes, but", "no"]
    ended = answer(("yes", {"yes": 0.9, "no": 0.1}), ("</s>", {"</s>": 0.75, ", but": 0.25}), labels=labels,
                   special=["</s>"], stop=True)  # fmt: skip
    assert column(ended, "probability") == pytest.approx([0.675, 0.225, 0.1])
    assert ended.notes == ()
    open_end = answer(("yes", {"yes": 0.9, "no": 0.1}), labels=labels)
    assert open_end.undecided == pytest.approx(0.9)
    (note,) = open_end.notes
    assert note.startswith("The label “yes” begins “yes, but”, and nothing marks where the answer ends.")
    assert answer((" YES", {" YES": 0.9, "no": 0.1}), labels=labels).notes == open_end.notes
    other = answer(("no", {"yes": 0.4, "no": 0.6}), labels=labels)
    assert other.undecided == pytest.approx(0.4)
    assert other.notes == (), "what the answer is stays decided"


def test_a_label_that_is_not_listed_is_unknown_and_not_impossible() -> None:
    labels = ["South", "South America", "South America and Asia"]
    found = answer(
        ("South", {"South": 0.9, "Africa": 0.05}), (" America", {" America": 0.9, ".": 0.08}), (".", {".": 0.99}),
        labels=labels,
    )  # fmt: skip
    assert column(found, "probability")[:2] == pytest.approx([0.072, 0.8019], abs=1e-4)
    assert math.isnan(found.rows[2].probability)
    assert math.isnan(found.rows[2].logprob)
    assert found.notes == (), "no label's probability includes another's"
    certain = answer(("Yes", {"Yes": 1.0}))
    assert column(certain, "probability") == [1.0, 0.0], "nothing is left for the other label"
    assert column(certain, "logprob") == [0.0, -INF]


def test_a_label_includes_a_longer_one_only_if_its_tokens_begin_it() -> None:
    def spelt(*tokens: str) -> Completion:
        return completion_of(tokens_of("?"), tokens_of(*tokens, logprobs=[-1.0] * len(tokens)), origin="scored")

    apart = distribution(["no", "not sure"], [spelt(" no"), spelt(" not", " sure")])
    assert apart.notes == ()
    inside = distribution(["South", "South America"], [spelt(" South"), spelt(" South", " America")])
    assert inside.notes[0].startswith("The label “South” begins “South America”. Its probability includes")


def test_answers_that_show_little() -> None:
    elsewhere = answer(("The", {"The": 0.9, "Yes": 0.1}))
    assert elsewhere.others == pytest.approx(0.9)
    assert "may not begin with one" in elsewhere.notes[0]
    alone = from_answer(completion_of(tokens_of("?"), tokens_of("Yes", logprobs=[math.log(0.75)])), ["Yes", "No"])
    assert column(alone, "probability") == pytest.approx([0.75, NAN], nan_ok=True)
    assert "lists no alternatives" in alone.notes[0]
    unscored = from_answer(completion_of(tokens_of("?"), tokens_of("Yes")), ["Yes", "No"])
    assert math.isnan(unscored.rows[0].probability)
    assert "no logprob" in unscored.notes[0]
    for nothing in (tokens_of(), tokens_of(" ", "\n")):
        found = from_answer(completion_of(tokens_of("?"), nothing), ["Yes", "No"])
        assert found.notes == ("The answer has no content.",)
        assert math.isnan(found.others)


def test_labels_that_begin_with_what_is_passed_over() -> None:
    found = answer(("-", {"-": 0.6, "+": 0.4}), ("1", {"1": 0.7, "2": 0.3}), labels=["-1", "-2", "+1"])
    assert column(found, "probability") == pytest.approx([0.42, 0.18, 0.4])


def test_reasoning_is_passed_over() -> None:
    tokens = way(("No", {"No": 1.0}), ("Yes", {"Yes": 0.8, "No": 0.2}))
    kinds = np.array([TokenKind.REASONING, TokenKind.TEXT], np.uint8)
    found = from_answer(replace(completion_of(tokens_of("?"), tokens.with_kinds(kinds))), ["Yes", "No"])
    assert column(found, "probability") == pytest.approx([0.8, 0.2])
