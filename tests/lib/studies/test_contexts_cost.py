"""What an answer from the kept passages takes, against one from all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lib.contexts.passages import Passage
from lib.contexts.pruning import Keep, Rule
from lib.contexts.scorings import BM25, COMBINED, QUESTION
from lib.core.completion import Completion, Timing
from lib.core.sources import LocalModel
from lib.jobs.batch import Batch, Outcome, State, batch_of
from lib.studies.contexts import ALL, KEPT, ContextsPlan
from lib.studies.contexts_cost import answer_costs, pace_of
from lib.studies.contexts_outcome import scored_of
from tests.support.answers import answer_of
from tests.support.scripted_engine import tokens_of

PASSAGES = (Passage("a", "Rome is old."), Passage("b", "Oslo lies north."), Passage("c", "Bern."))
PLAN = ContextsPlan(
    LocalModel("m"), "Where lies Oslo?", PASSAGES, keep=Keep(Rule.TOP, 1), answers=(KEPT, ALL), max_tokens=7
)


def read(place: int, logprob: float, timing: Timing) -> Completion:
    """A scoring call of which every character is a token."""
    prompt = PLAN.prompt_of(PASSAGES[place].text).text
    return replace(answer_of("Yes", [-0.5]), prompt=tokens_of(prompt, logprob), timing=timing)


BATCH = batch_of(
    [
        read(0, -3.0, Timing(0.1, 0.5, 1.0)),
        read(1, -1.0, Timing(0.0, 0.8, 1.5)),
        read(2, -2.0, Timing(0.0, None, 0.6)),
    ]
)
FRAME = len(PLAN.prompt_of("").text)


def test_tokens_follow_what_is_kept() -> None:
    scored = scored_of(PLAN, BATCH)
    assert scored.frame == FRAME
    found = answer_costs(PLAN, scored, BATCH)
    assert found.kept == FRAME + len(PASSAGES[1].text)
    assert found.everything == FRAME + sum(len(each.text) for each in PASSAGES)
    two = answer_costs(replace(PLAN, keep=Keep(Rule.TOP, 2)), scored, BATCH)
    assert two.kept == found.kept + len(PASSAGES[2].text)
    assert answer_costs(replace(PLAN, keep=Keep(Rule.THRESHOLD, 0.0)), scored, BATCH).kept == 0
    small = answer_costs(replace(PLAN, context=20), scored, BATCH)
    assert small.everything == FRAME + len(PASSAGES[0].text) + len(PASSAGES[2].text), "what fits into the context"


def test_a_combination_of_other_weights_keeps_another_passage() -> None:
    plan = replace(PLAN, scorings=(QUESTION, BM25), by=COMBINED, weights=((QUESTION, 1.0), (BM25, 0.0)))
    scored = scored_of(replace(plan, by=QUESTION, weights=((QUESTION, 0.0), (BM25, 1.0))), BATCH)
    assert answer_costs(plan, scored, BATCH).kept == FRAME + len(PASSAGES[1].text)


def test_the_pace_is_that_of_all_calls_side_by_side() -> None:
    found = answer_costs(PLAN, scored_of(PLAN, BATCH), BATCH)
    assert found.pace is not None
    assert found.pace.tokens == 3 * FRAME + sum(len(each.text) for each in PASSAGES)
    assert found.pace.seconds == 0.8, "until the last prompt was read"
    assert found.pace.seconds_of(found.pace.tokens) == pytest.approx(0.8)
    assert found.calls == pytest.approx((0.9, 1.5, 0.6))


def test_without_times_nothing_is_claimed() -> None:
    assert pace_of([]) is None
    assert pace_of([read(0, -1.0, Timing())]) is None
    assert pace_of([read(0, -1.0, Timing(0.0, 0.0, 0.0))]) is None
    failed = Batch((Outcome(State.FAILED, read(0, -1.0, Timing(0.0, 0.5, 1.0))),))
    found = answer_costs(PLAN, scored_of(PLAN, failed), failed)
    assert (found.pace, found.calls) == (None, ())
    assert found.everything > 0, "estimated from characters"
