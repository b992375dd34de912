"""Contexts: which calls are made, how their outcomes are read, and that nothing is asked twice."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.contexts.passages import MOST_PASSAGES, Passage
from lib.contexts.prompting import TEMPLATES, Order, closed_book
from lib.contexts.pruning import Keep, Rule
from lib.contexts.scorings import BM25, COMBINED, DRAFT, GAIN, QUESTION, RETRIEVER, SCORINGS
from lib.core.completion import Completion
from lib.core.request import Mode, Request
from lib.core.sources import LocalModel
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.errors import CandorError, InvalidRequest, ServiceError
from lib.jobs.batch import Batch, Outcome, State, batch_of
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Jobs
from lib.jobs.plan import estimate, priced_calls
from lib.jobs.run_plan import plan_left, run_plan
from lib.store.plan_codec import details_of, plan_of
from lib.store.run import Run
from lib.studies.contexts import ALL, KEPT, NONE, ContextsPlan, answering_first, scored_by
from lib.studies.contexts_outcome import outcome_of
from lib.studies.leaning import LeaningPlan, leaning_of
from tests.support import tiny
from tests.support.answers import answer_of
from tests.support.scripted_engine import ScriptedEngine, says, tokens_of

MODEL = LocalModel("scripted")
PASSAGES = (
    Passage("a", "Rome is old.", 0.2), Passage("b", "Oslo lies north. {question}", 0.9), Passage("c", "Bern is small.")
)  # fmt: skip
PLAN = ContextsPlan(MODEL, "Where lies Oslo?", PASSAGES, draft_tokens=6)
EVERYTHING = replace(
    PLAN, scorings=tuple(SCORINGS), answer="North.", weights=((QUESTION, 1.0), (BM25, 1.0)), by=COMBINED,
    keep=Keep(Rule.TOP, 1), answers=(KEPT, ALL, NONE),
)  # fmt: skip


def run(engine: Any, plan: Any, **options: Any) -> Batch:
    job = Jobs().start(run_plan(Engines(lambda _: engine), plan, **options), plan)
    assert job.wait(60)
    assert job.error is None
    assert job.result is not None
    return job.result


def test_one_call_by_passage_has_draft_and_question() -> None:
    calls = PLAN.calls()
    assert [each.request.max_tokens for each in calls] == [6, 6, 6]
    assert all(each.request.prompt_scores for each in calls)
    assert calls[1].request.prompt == "Oslo lies north. {question}\n\nQuestion: Where lies Oslo?\nAnswer:"
    needed = {each.request.last_user_text[each.request.scores_from :] for each in calls}
    assert needed == {"Where lies Oslo?\nAnswer:"}
    alone = replace(PLAN, scorings=(QUESTION,)).calls()
    assert [each.request.max_tokens for each in alone] == [0, 0, 0]
    assert estimate(alone).max_new_tokens == 0
    drafts = replace(PLAN, scorings=(DRAFT,), by=DRAFT).calls()
    assert not any(each.request.prompt_scores or each.request.scores_from for each in drafts)
    free = replace(PLAN, scorings=(BM25, RETRIEVER), by=BM25)
    assert free.calls() == ()


def test_with_the_question_first_it_is_scored_in_a_call_of_its_own() -> None:
    plan = replace(PLAN, template=TEMPLATES[Order.QUESTION_FIRST], mode=Mode.CHAT)
    *drafts, first, second, third = plan.calls()
    assert [each.request.max_tokens for each in drafts] == [6, 6, 6]
    assert not any(each.request.prompt_scores for each in drafts)
    assert all(each.request.prompt_scores and not each.request.max_tokens for each in (first, second, third))
    (message,) = second.request.messages
    assert message.content == "Oslo lies north. {question}\n\nQuestion: Where lies Oslo?\nAnswer:"


def test_one_answer_is_scored_with_each_passage_and_without() -> None:
    plan = replace(PLAN, scorings=(GAIN,), by=GAIN, answer="North.")
    calls = plan.calls()
    assert [each.candidates for each in calls] == [(" North.",)] * 4
    assert calls[-1].request.prompt == closed_book(plan.template, plan.question)


@pytest.mark.parametrize(
    "change",
    [
        {"question": " "},
        {"passages": ()},
        {"passages": PASSAGES[:1] * 2},
        {"passages": tuple(Passage(str(number), "x") for number in range(MOST_PASSAGES + 1))},
        {"template": "{passage}"},
        {"scorings": ("unknown",)},
        {"scorings": (QUESTION, GAIN)},
        {"scorings": ()},
        {"by": BM25},
        {"by": COMBINED},
        {"by": COMBINED, "weights": ((QUESTION, 1.0),), "scorings": ()},
        {"weights": (("unknown", 1.0),)},
        *({"weights": ((QUESTION, weight),)} for weight in (-1.0, math.nan, math.inf, 1e9)),
        *({"passages": (Passage("1", "x", score),)} for score in (math.nan, -math.inf, 1e300)),
        {"draft_tokens": 0},
        {"answers": ("some",)},
        {"answers": (ALL,), "max_tokens": -1},
        {"context": -1},
        {"keep": Keep(Rule.TOP, math.nan)},
        {"prompt_scores": False, "scorings": (QUESTION,)},
    ],
)
def test_bad_plans_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        replace(PLAN, **change).calls()
    assert raised.value.remedy


def done(plan: ContextsPlan, place: int, draft: str, question: float) -> Completion:
    """The completion of a passage's call: its question's characters have this logprob, the draft's words −0.5."""
    prompt = plan.prompt_of(plan.passages[place].text)
    tokens = tokens_of(prompt.text, -9.0)
    logprobs = np.array(tokens.logprobs)
    logprobs[slice(*prompt.question)] = question
    scored = replace(tokens, logprobs=logprobs)
    return replace(answer_of(draft, [-0.5] * len(draft.split())), prompt=scored, request=Request(prompt=prompt.text))


def test_scores_are_read_by_passage_and_a_failure_leaves_the_others() -> None:
    failed = Outcome(State.FAILED, None, CandorError("It failed.", "Retry."))
    first, third = done(PLAN, 0, "In Rome", -2.0), done(PLAN, 2, "", -1.0)
    found = outcome_of(PLAN, Batch((Outcome(State.DONE, first), failed, Outcome(State.DONE, third))))
    np.testing.assert_allclose(found.scored.scores[QUESTION], [-2.0, math.nan, -1.0])
    np.testing.assert_allclose(found.scored.scores[DRAFT], [-0.5, math.nan, math.nan])
    assert [each is None for each in found.scored.errors] == [True, False, True]
    assert [each and each.text for each in found.scored.drafts] == ["In Rome", None, ""]
    assert found.scored.tokens == (len(PASSAGES[0].text), 7, len(PASSAGES[2].text))
    assert not found.scored.counted  # that of the failed call is estimated
    assert found.kept == (2, 0)
    assert outcome_of(PLAN, Batch()).kept == ()


def test_kept_passages_keep_their_order_and_fit_into_the_context() -> None:
    values = {0: -3.0, 1: -1.0, 2: -2.0}
    plan = replace(PLAN, keep=Keep(Rule.TOP, 2), answers=(KEPT, ALL, NONE))
    batch = batch_of(done(plan, place, "Yes", value) for place, value in values.items())
    found = outcome_of(plan, batch)
    assert found.kept == (1, 2)
    assert found.answers[KEPT].passages == (1, 2)
    assert found.answers[ALL].passages == (0, 1, 2)
    assert found.answers[NONE].prompt == "Question: Where lies Oslo?\nAnswer:"
    kept, everything, nothing = plan.then(batch)
    assert kept.request.prompt is not None
    assert kept.request.prompt.startswith("Oslo lies north. {question}\n\nBern is small.\n\nQuestion")
    assert {each.request.max_tokens for each in (kept, everything, nothing)} == {plan.max_tokens}
    assert found.answers[KEPT].outcome.state is State.WAITING
    small = outcome_of(replace(plan, context=30), batch)
    assert (small.answers[KEPT].passages, small.answers[KEPT].left_out) == ((1,), 1)
    assert (small.answers[ALL].passages, small.answers[ALL].left_out) == ((0, 2), 1)
    whole = replace(plan, keep=Keep(Rule.TOP, 3), answers=(KEPT, ALL))
    assert len(whole.then(batch)) == 1, "the same prompt is asked once"
    strict = replace(plan, keep=Keep(Rule.THRESHOLD, 0.0))
    assert [each.request.prompt for each in strict.then(batch)] == [everything.request.prompt, nothing.request.prompt]


def test_without_prompt_logprobs_only_drafts_are_scored() -> None:
    plan = replace(EVERYTHING, prompt_scores=False, by=DRAFT)
    assert len(plan.calls()) == 3
    assert not any(each.request.prompt_scores for each in plan.calls())
    found = outcome_of(plan, run(ScriptedEngine(), plan))
    assert set(found.scored.scores) == {DRAFT, RETRIEVER, BM25, COMBINED}
    assert "doesn't return prompt logprobs" in found.scored.note
    assert not outcome_of(EVERYTHING, Batch()).scored.note


def test_a_service_that_fails_midway_leaves_the_rest_to_a_retry() -> None:
    down = {"Oslo"}

    def script(request: Request) -> Completion:
        if any(word in (request.prompt or "").split("\n\nQuestion")[0] for word in down):
            raise ServiceError("The service failed.", "Retry.")
        return says("Yes")(request)

    engine = ScriptedEngine(script)
    batch = run(engine, PLAN)
    first = outcome_of(PLAN, batch)
    assert [each is None for each in first.scored.errors] == [True, False, True]
    assert np.isnan(first.scored.scores[QUESTION]).tolist() == [False, True, False]
    down.clear()
    engine.requests.clear()
    second = outcome_of(PLAN, run(engine, PLAN, resume=batch))
    assert len(engine.requests) == 1
    assert np.isfinite(second.scored.scores[QUESTION]).all()
    assert second.scored.errors == (None, None, None)


def test_a_plan_is_stored_and_opened() -> None:
    for plan in (EVERYTHING, LeaningPlan(MODEL, PLAN, "North.")):
        stored = json.loads(json.dumps(details_of(plan)))
        assert plan_of(Run(plan.page, "m", details=stored)) == plan


def test_the_models_own_answer_comes_first_and_is_scored_then() -> None:
    plan = replace(PLAN, scorings=(QUESTION, GAIN), weights=((QUESTION, 1.0), (GAIN, 1.0)), by=COMBINED)
    first = answering_first(plan)
    assert (first.scorings, first.answers, first.weights) == ((QUESTION,), (ALL,), ((QUESTION, 1.0),))
    first.calls()
    alone = answering_first(replace(PLAN, scorings=(GAIN,), by=GAIN, answer="x"))
    assert alone.calls() == (), "what costs no call ranks meanwhile"
    engine = ScriptedEngine()
    batch = run(engine, first)
    then = scored_by(first, " fine ")
    assert (then.answer, then.scorings, dict(then.weights)[GAIN]) == ("fine", (QUESTION, GAIN), 0.0)
    assert estimate(plan_left(then, batch, first)).scored_texts == 4
    engine.requests.clear()
    found = outcome_of(then, run(engine, then, resume=batch, resume_of=first))
    assert len(engine.requests) == 4
    assert found.answers[ALL].outcome.state is State.DONE
    assert np.isfinite(found.scored.scores[GAIN]).all()
    assert plan_left(then, Batch(), first) == (*then.calls(), *then.then_at_most())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """A model that generates "babababa…"."""
    logits = tiny.chain("ab", follow={ord("b"): ord("a")}, odds=3.0)
    directory: Path = tiny.make_markov(tmp_path_factory.mktemp("contexts") / "model", logits, context=100_000)
    with closing(LocalEngine(load(str(directory)))) as made:
        yield made


def test_everything_at_once_with_an_engine(engine: LocalEngine) -> None:
    plan = replace(EVERYTHING, max_tokens=5, answers=(KEPT, ALL, NONE))
    batch = run(engine, plan)
    found = outcome_of(plan, batch)
    assert all(np.isfinite(found.scored.scores[name]).all() for name in (QUESTION, DRAFT, GAIN, BM25, COMBINED))
    assert found.scored.tokens == tuple(len(each.text) for each in PASSAGES)  # one token per character
    assert found.scored.counted
    assert [found.answers[name].outcome.state for name in (KEPT, ALL, NONE)] == [State.DONE] * 3
    assert len(batch.outcomes) == 3 + 4 + 3
    first = replace(plan, answers=())
    assert 0 < run(engine, first).seconds < batch.seconds, "of both stages"
    assert sum(each.answers for each in priced_calls(plan)) == len(batch.outcomes)


def test_nothing_is_computed_twice(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    first = replace(PLAN, scorings=(QUESTION, DRAFT))
    batch = run(engine, first)
    asked: list[Request] = []
    usual = LocalEngine.stream

    def counted(own: LocalEngine, request: Request, *more: Any) -> Any:
        asked.append(request)
        return usual(own, request, *more)

    monkeypatch.setattr(LocalEngine, "stream", counted)
    then = replace(first, answers=(KEPT, NONE), keep=Keep(Rule.TOP, 1), max_tokens=3)
    later = run(engine, then, resume=batch, resume_of=first)
    assert len(asked) == 2
    assert [each.completion for each in later.outcomes[:3]] == [each.completion for each in batch.outcomes]
    moved = replace(then, keep=Keep(Rule.TOP, 2))
    run(engine, moved, resume=later, resume_of=then)
    assert len(asked) == 3, "only the answer from the other passages"


def test_the_question_scores_alike_in_both_orders(engine: LocalEngine) -> None:
    own = replace(PLAN, scorings=(QUESTION,))
    other = replace(own, template=TEMPLATES[Order.QUESTION_FIRST])
    first, second = (outcome_of(plan, run(engine, plan)).scored.scores[QUESTION] for plan in (own, other))
    assert np.isfinite(first).all()
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_sentences_lean_on_the_passage_without_which_they_are_less_likely() -> None:
    plan = LeaningPlan(MODEL, replace(PLAN, passages=PASSAGES[:2]), "Rome is old. Oslo is not.")
    whole, first, second = plan.calls()
    assert {each.candidates for each in (whole, first, second)} == {(" Rome is old. Oslo is not.",)}
    assert first.request.prompt is not None
    assert "Rome" not in first.request.prompt
    values = [-1.0] * 6
    answers = [
        answer_of(" Rome is old. Oslo is not.", values),
        answer_of(" Rome is old. Oslo is not.", [-3.0, -1.0, -1.0, -1.0, -1.0, -1.0]),
        answer_of(" Rome is old. Oslo is not.", [-1.0, -1.0, -1.0, -2.0, -1.0, -0.5]),
    ]
    found = leaning_of(plan, batch_of(answers))
    assert found.sentences == ("Rome is old.", "Oslo is not.")
    np.testing.assert_allclose(found.gains, [[2.0, 0.0], [0.0, 0.5]])
    partial = leaning_of(plan, Batch((Outcome(State.DONE, answers[0]), Outcome(State.FAILED))))
    assert np.isnan(partial.gains).all()
    assert leaning_of(plan, Batch()).sentences == ()


def test_of_one_passage_the_closed_book_is_the_other_prompt() -> None:
    plan = LeaningPlan(MODEL, replace(PLAN, passages=PASSAGES[:1]), "Rome.")
    assert plan.calls()[1].request.prompt == closed_book(PLAN.template, PLAN.question)


@pytest.mark.parametrize(
    "plan",
    [
        LeaningPlan(MODEL, PLAN, " "),
        LeaningPlan(MODEL, replace(PLAN, passages=()), "x"),
        LeaningPlan(MODEL, replace(PLAN, prompt_scores=False), "x"),
        LeaningPlan(MODEL, PLAN, "x" * 100_000),
    ],
)
def test_leaning_needs_an_answer_passages_and_prompt_logprobs(plan: LeaningPlan) -> None:
    with pytest.raises(InvalidRequest):
        plan.calls()
