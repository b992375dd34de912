"""Second looks and labels: which calls they make, and how their outcomes are read."""

from __future__ import annotations

import math

import pytest

from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.core.sources import LocalModel
from lib.doubts.words import terms
from lib.errors import CandorError, InvalidRequest
from lib.jobs.batch import Batch, Outcome, State, batch_of
from lib.studies.label_choices import LabelsPlan, distribution_of
from lib.studies.second_looks import (
    MOST_SAMPLES,
    SecondLooks,
    SecondLooksPlan,
    agreement,
    looks_of,
    rest_of_word,
    shift,
)
from tests.support.answers import answer_of

MODEL = LocalModel("/models/mine")
ASKED = Request(prompt="Where?", max_tokens=20, k=5, seed=3)
WHOLE = SecondLooksPlan(
    MODEL, ASKED, "In Rome.", samples=2, verdict=True, other_prompt="Say it.", prefixes=((1, 2), (3,))
)


def test_each_part_makes_its_own_calls() -> None:
    samples, verdict, own, other, first, second = WHOLE.calls()
    assert (samples.request.n, samples.request.temperature, samples.request.seed) == (2, 1.0, None)
    assert "In Rome." in verdict.request.last_user_text
    assert verdict.request.max_tokens == 1
    assert (own.request.prompt, other.request.prompt) == ("Where?", "Say it.")
    assert own.candidates == other.candidates == ("In Rome.",)
    assert (first.request.prefix_ids, second.request.prefix_ids) == ((1, 2), (3,))
    assert len(SecondLooksPlan(MODEL, ASKED, "x", verdict=True).calls()) == 1


def test_of_a_chat_the_last_message_changes() -> None:
    chat = Request(messages=(Message("system", "Be short."), Message("user", "Where?")))
    verdict, *_ = SecondLooksPlan(MODEL, chat, "In {Rome}.", verdict=True).calls()
    assert verdict.request.messages[0] == Message("system", "Be short.")
    assert "In {Rome}." in verdict.request.last_user_text


@pytest.mark.parametrize(
    "plan",
    [
        SecondLooksPlan(MODEL, ASKED, "x"),
        SecondLooksPlan(MODEL, ASKED, "x", samples=MOST_SAMPLES + 1),
        SecondLooksPlan(MODEL, ASKED, "x", other_prompt="  "),
        SecondLooksPlan(MODEL, ASKED, "x", prefixes=((1,),) * 1_000),
    ],
)
def test_nothing_or_too_much_is_refused(plan: SecondLooksPlan) -> None:
    with pytest.raises(InvalidRequest):
        plan.calls()


def verdict_of(text: str, alternatives: list[tuple[str, float]], logprob: float) -> Completion:
    return answer_of(text, [logprob], lists={text: alternatives} if alternatives else {})


def looks(*answers: Completion | None, plan: SecondLooksPlan) -> SecondLooks:
    failed = Outcome(State.FAILED, None, CandorError("It failed.", "Retry."))
    return looks_of(plan, Batch(tuple(failed if each is None else Outcome(State.DONE, each) for each in answers)))


def test_the_outcome_is_read_part_by_part() -> None:
    yes = verdict_of(" Yes", [(" Yes", math.log(0.5)), (" no", math.log(0.2)), ("No", math.log(0.1))], math.log(0.5))
    continued = answer_of("In Romania now", pieces=["In", " Roma", "nia", " now"])
    own, other = answer_of("In Rome."), answer_of("In Rome.", {" Rome.": -3.0})
    answers = [answer_of("In Rome."), None, yes, own, other, continued, None]
    found = looks(*answers, plan=WHOLE)
    assert found.samples == ("In Rome.",)
    assert found.p_true == pytest.approx(0.5 / 0.8)
    assert found.told == pytest.approx(0.8)
    assert found.words == (((1, 2), "nia"),)
    assert shift(found, terms(own)) == pytest.approx([2.9])


@pytest.mark.parametrize(
    ("text", "alternatives", "p_true"),
    [
        (" No", [], 0.4),  # the chosen token alone: the rest is the other word
        ("Yes", [], 0.6),
        (" Maybe", [], None),
        ("The", [("The", math.log(0.6)), ("Yes", math.log(0.1))], 1.0),
        ("The", [("The", math.log(0.6)), ("A", math.log(0.1))], None),
        ("\n", [], None),
    ],
)
def test_a_verdict_in_other_words(text: str, alternatives: list[tuple[str, float]], p_true: float | None) -> None:
    plan = SecondLooksPlan(MODEL, ASKED, "x", verdict=True)
    found = looks(verdict_of(text, alternatives, math.log(0.6)), plan=plan)
    assert found.p_true == (None if p_true is None else pytest.approx(p_true))


def test_a_failed_part_leaves_the_others() -> None:
    assert looks(*[None] * 7, plan=WHOLE) == SecondLooks()
    assert all(map(math.isnan, shift(SecondLooks(), terms(answer_of("Rome and Paris")))))
    own, other = answer_of("In Rome."), answer_of("In Rome", pieces=["In", " Ro", "me"])
    assert all(map(math.isnan, shift(SecondLooks(with_prompt=own, without=other), terms(own))))


def test_agreement_counts_whole_words() -> None:
    samples = ["It is Rome.", "rome, of course", "Romeo did", "New  York", "C++ (1.5)"]
    assert agreement("Rome", samples) == 2
    assert agreement("new york", samples) == 1
    assert agreement("1.5", samples) == 1
    assert agreement("", samples) == 0
    assert agreement("(.*)+", samples) == 0


def test_the_rest_of_a_word() -> None:
    assert [rest_of_word(each) for each in ("berra is", " is", "3.5 km", "'s", "")] == ["berra", "", "3.5", "", ""]


def test_labels_are_scored_after_both_prompts() -> None:
    plan = LabelsPlan(MODEL, ASKED, ("yes", "no"), "Answer:", "\n")
    own, neutral = plan.calls()
    assert own.candidates == neutral.candidates == (" yes\n", " no\n")
    assert neutral.request.prompt == "Answer:"
    scored = [answer_of("yes", [math.log(0.6)]), answer_of("no", [math.log(0.2)])]
    prior = [answer_of("yes", [math.log(0.5)]), answer_of("no", [math.log(0.1)])]
    found = distribution_of(plan, batch_of([*scored, *prior]))
    assert found is not None
    assert [each.probability for each in found.rows] == pytest.approx([0.75, 0.25])
    assert [each.corrected for each in found.rows] == pytest.approx([1.2 / 3.2, 2 / 3.2])
    assert distribution_of(plan, batch_of(scored[:1])) is None
    with pytest.raises(InvalidRequest):
        LabelsPlan(MODEL, ASKED, ("yes", "Yes.")).calls()
