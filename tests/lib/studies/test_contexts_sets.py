"""Plans of labelled questions: their calls, which answer's gain is scored, and reading what is there so far."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lib.contexts.labelled import Labelled
from lib.contexts.passages import Passage
from lib.contexts.prompting import TEMPLATES, Order
from lib.contexts.scorings import BM25, DRAFT, GAIN, QUESTION, RETRIEVER
from lib.core.completion import Completion
from lib.core.request import Mode
from lib.core.sources import EMBEDDED, LocalModel
from lib.errors import CandorError, InvalidRequest
from lib.jobs.batch import Batch, Outcome, State, batch_of
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Jobs
from lib.jobs.plan import estimate
from lib.jobs.run_plan import run_plan
from lib.studies.contexts_sets import ContextsAnswersPlan, ContextsSetPlan
from tests.support.scripted_engine import ScriptedEngine, says, tokens_of

QUESTIONS = (
    Labelled("1", "Who is it?", (Passage("a", "He is."), Passage("b", "She is.", 0.5)), 0),
    Labelled("2", "Why is it?", (Passage("a", "So."), Passage("b", "Or so."), Passage("c", "No.")), 2),
)
PLAN = ContextsSetPlan(EMBEDDED, QUESTIONS)


def answered(calls: tuple[Call, ...], *texts: str) -> Batch:
    """One completion per call; texts: of the first ones."""
    given = [*texts, *["x"] * (len(calls) - len(texts))]
    return batch_of(
        Completion(call.request, "m", tokens_of(call.request.last_user_text), tokens_of(text), text)
        for call, text in zip(calls, given, strict=True)
    )


def test_a_run_scores_every_passage_by_everything() -> None:
    job = Jobs().start(run_plan(Engines(lambda _: ScriptedEngine(says("fine"))), PLAN), PLAN)
    assert job.wait(30)
    assert job.result is not None
    assert len(job.result.outcomes) == (2 + 1) + (3 + 1) + (2 + 1) + (3 + 1)
    first, second = PLAN.scored(job.result)
    assert (first.answer, second.drafts) == ("fine", ("fine",) * 3)
    for each in (first, second):
        for name in (QUESTION, DRAFT, GAIN, BM25):
            assert np.isfinite(each.scores[name]).all()
        assert each.scores[QUESTION] == pytest.approx(-0.5)
    assert first.tokens == (6, 7)
    assert first.scores[RETRIEVER] == pytest.approx([np.nan, 0.5], nan_ok=True)
    assert RETRIEVER not in second.scores


def test_the_gain_is_of_the_answer_from_all_passages_or_of_a_draft_or_of_none() -> None:
    calls = PLAN.calls()
    assert "He is.\n\nShe is." in (calls[2].request.prompt or "")

    def gains(*texts: str) -> list[str]:
        return [each.candidates[0] for each in PLAN.then(answered(calls, *texts))]

    assert gains("one", "two", "whole") == [" whole"] * 3 + [" x"] * 4
    assert gains(" ", "two", "\n") == [" two"] * 3 + [" x"] * 4
    assert gains("", "", "") == [" x"] * 4, "without an answer there is no gain"
    batch = answered(calls, "", "", "")
    first, second = PLAN.scored(Batch((*batch.outcomes, *answered(PLAN.then(batch)).outcomes)))
    assert np.isnan(first.scores[GAIN]).all()
    assert second.answer == "x"
    assert np.isfinite(second.scores[GAIN]).all(), "the gains of the second question are not taken for the first one's"


def test_what_is_not_there_yet_is_unknown() -> None:
    batch = answered(PLAN.calls())
    failed = Outcome(State.FAILED, error=CandorError("It broke.", "Try again."))
    for outcomes in ((), (failed, *batch.outcomes[1:4])):
        first, second = PLAN.scored(Batch(outcomes))
        assert np.isnan(first.scores[QUESTION][0])
        assert np.isnan(second.scores[QUESTION][1:]).all()
        assert np.isnan(second.scores[GAIN]).all()
        assert min(second.tokens) > 0, "estimated"


def test_no_more_is_asked_than_priced() -> None:
    longest = answered(PLAN.calls(), "a", "b", "y" * 4 * PLAN.max_tokens)
    further, most = PLAN.then(longest), PLAN.then_at_most()
    assert len(further) <= len(most)
    assert estimate(further).max_characters_read <= estimate(most).max_characters_read
    assert estimate(further).scored_texts <= estimate(most).scored_texts


def test_without_gain_or_prompt_logprobs_there_are_no_further_calls() -> None:
    for plan in (replace(PLAN, gain=False), replace(PLAN, prompt_scores=False)):
        calls = plan.calls()
        assert len(calls) == 5
        assert plan.then(answered(calls)) == plan.then_at_most() == ()
        assert GAIN not in plan.scored(answered(calls))[0].scores
    assert QUESTION not in replace(PLAN, prompt_scores=False).scored(Batch())[0].scores


def test_the_template_and_the_mode_are_those_of_every_prompt() -> None:
    plan = replace(PLAN, template=TEMPLATES[Order.QUESTION_FIRST], mode=Mode.CHAT)
    calls = plan.calls()
    assert len(calls) == (2 + 2 + 1) + (3 + 3 + 1)
    assert all(each.request.messages and not each.request.stop for each in calls)
    drafts = [each.request.last_user_text for each in calls if each.request.max_tokens]
    assert all(each.startswith("Question: ") for each in drafts)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"questions": ()}, "nothing to ask"),
        ({"template": "{question}"}, "missing from the template"),
        ({"draft_tokens": 0}, "A draft has"),
        ({"max_tokens": 0}, "An answer has"),
        ({"max_tokens": 10_000}, "An answer has"),
    ],
)
def test_fields_out_of_bounds(change: dict[str, object], cause: str) -> None:
    with pytest.raises(InvalidRequest, match=cause):
        replace(PLAN, **change).calls()  # type: ignore[arg-type]


def test_answers_from_the_best_passages_are_plain_calls() -> None:
    plan = ContextsAnswersPlan(LocalModel("m"), ("One", "Two"), Mode.RAW, 9)
    one, two = plan.calls()
    assert (one.request.prompt, two.request.prompt) == ("One", "Two")
    assert (one.request.max_tokens, one.request.temperature, one.request.stop) == (9, 0.0, ("\n\n",))
    assert plan.title() == "Answers from the best passages, 2 prompts"
    assert PLAN.title() == "Sets of contexts, 2 questions"
    with pytest.raises(InvalidRequest, match="nothing to ask"):
        replace(plan, prompts=()).calls()
