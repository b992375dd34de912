"""Two models on one text, where a side may be a saved answer: on a model whose next token depends on the last alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.core.request import Request
from lib.core.sources import NO_MODEL, LocalModel
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.jobs.batch import Batch, State
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.plan import Estimate, estimate
from lib.jobs.run_plan import calls_left
from lib.scores.alignment import aligned
from lib.studies.model_comparison import (
    SavedAnswer,
    Side,
    known,
    reading_of,
    same_reading,
    saved_answer,
    text_of,
    whole_text,
)
from tests.support import tiny
from tests.support.asking import over
from tests.support.strategies import completion_of, tokens_of

CREATED = 1_700_000_000_000_000  # microseconds since 1970


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    logits = tiny.chain("ab", follow={ord("b"): ord("a")}, odds=3.0)
    directory: Path = tiny.make_markov(tmp_path_factory.mktemp("compared") / "model", logits)
    engine = LocalEngine(load(str(directory)))
    yield Engines(lambda _: engine)
    engine.close()


def compared(engines: Engines, *sides: Side | SavedAnswer) -> Batch:
    first, second = sides
    plan, batch = known((first, second))
    return over(engines, *plan.calls(), resume=batch)


def takes(*sides: Side | SavedAnswer) -> Estimate:
    first, second = sides
    plan, batch = known((first, second))
    return estimate(calls_left(plan.calls(), batch))


@pytest.fixture(scope="module")
def saved(engines: Engines) -> SavedAnswer:
    """An answer of the model from some time ago."""
    request = Request("ab", max_tokens=6)
    (done,) = over(engines, Call(LocalModel("tiny"), request)).completions
    return saved_answer(LocalModel("tiny"), request, done, CREATED)


@pytest.mark.parametrize("saved_first", [True, False])
def test_the_other_side_scores_the_same_text(engines: Engines, saved: SavedAnswer, saved_first: bool) -> None:
    now = same_reading(LocalModel("tiny"), saved)
    sides: tuple[Side | SavedAnswer, ...] = (saved, now) if saved_first else (now, saved)
    assert (takes(*sides).scored_texts, takes(*sides).max_new_tokens) == (1, 0)
    outcomes = compared(engines, *sides).outcomes
    assert [each.state for each in outcomes] == [State.DONE] * 2
    assert outcomes[0 if saved_first else 1].completion is saved.completion
    first, second = (whole_text(each.completion).prompt for each in outcomes if each.completion is not None)
    found = aligned(first, second)
    assert found.characters == len(saved.text) - 1  # the first token has no logprob
    np.testing.assert_allclose(found.differences, 0, atol=1e-4)  # the same model


def test_two_saved_answers_need_no_call(engines: Engines, saved: SavedAnswer) -> None:
    assert takes(saved, saved) == Estimate(0, 0, 0, 0)
    assert list(compared(engines, saved, saved).completions) == [saved.completion] * 2


def test_a_text_without_an_answer_is_scored_as_a_prompt(engines: Engines) -> None:
    side = reading_of(LocalModel("tiny"), "abab")
    (done,) = over(engines, side.call).completions
    again = saved_answer(LocalModel("tiny"), side.request, done, CREATED)
    assert same_reading(LocalModel("tiny"), again) == side
    assert again.text == "abab"


def test_a_failed_side_leaves_the_saved_one(engines: Engines, saved: SavedAnswer) -> None:
    first, second = compared(engines, saved, reading_of(LocalModel("tiny"), "a" * 100_000)).outcomes
    assert first.completion is saved.completion
    assert second.state is State.FAILED


def test_the_plan_says_which_side_was_saved_and_when(saved: SavedAnswer) -> None:
    now = same_reading(LocalModel("tiny"), saved)
    assert [each.saved for each in known((now, saved))[0].sides] == [0, CREATED]
    assert [each.saved for each in known((now, now))[0].sides] == [0, 0]


def test_a_response_without_its_request_is_compared_by_its_tokens() -> None:
    prompt, answer = tokens_of("<s>", "What?", special=[0]), tokens_of(" Yes", logprobs=[-0.5])
    done = completion_of(prompt, answer, text=" Yes", request=None)
    side = saved_answer(NO_MODEL, None, done, CREATED)
    assert side.text == "What? Yes"
    assert same_reading(LocalModel("tiny"), side).candidates == (" Yes",)
    alone = saved_answer(NO_MODEL, None, replace(done, prompt=prompt[:0]), CREATED)
    assert alone.text == " Yes" == text_of(alone.side.request, alone.completion)
    assert same_reading(LocalModel("tiny"), alone).candidates == ()
