"""Two models on one text, where a side may be a saved answer: on a model whose next token depends on the last alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.core.completion import Completion
from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.jobs.batch import Many, State
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job, Jobs
from lib.jobs.plan import Several, ask_several
from lib.jobs.run import Question
from lib.scores.alignment import aligned
from lib.studies.model_comparison import (
    SavedAnswer,
    Side,
    comparison,
    reading_of,
    same_reading,
    saved_answer,
    scored_now,
    text_of,
    whole_text,
    with_saved,
)
from tests.support import tiny
from tests.support.strategies import completion_of, tokens_of

CREATED = 1_700_000_000_000_000  # microseconds since 1970


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    logits = tiny.chain("ab", follow={ord("b"): ord("a")}, odds=3.0)
    directory: Path = tiny.make_markov(tmp_path_factory.mktemp("compared") / "model", logits)
    engine = LocalEngine(load(str(directory)))
    yield Engines(lambda _: engine)
    engine.close()


def compared(engines: Engines, sides: tuple[Side, ...]) -> Many[Completion]:
    work = with_saved(sides, ask_several(engines, scored_now("models", sides)))
    job: Job[Many[Completion]] = Jobs().start(work, subject=comparison("models", sides))
    assert job.wait(30)
    assert job.result is not None
    return job.result


@pytest.fixture(scope="module")
def saved(engines: Engines) -> SavedAnswer:
    """An answer of the model from some time ago."""
    asked = Several("explore", (Question("tiny", Request("ab", max_tokens=6)),))
    job: Job[Many[Completion]] = Jobs().start(ask_several(engines, asked))
    assert job.wait(30)
    assert job.result is not None
    (outcome,) = job.result.outcomes
    assert outcome.result is not None
    return saved_answer("tiny", asked.questions[0].request, outcome.result, CREATED)


@pytest.mark.parametrize("saved_first", [True, False])
def test_the_other_side_scores_the_same_text(engines: Engines, saved: SavedAnswer, saved_first: bool) -> None:
    now = same_reading("tiny", saved)
    sides: tuple[Side, ...] = (saved, now) if saved_first else (now, saved)
    assert scored_now("models", sides).scored_texts == 1
    outcomes = compared(engines, sides).outcomes
    assert [each.state for each in outcomes] == [State.DONE] * 2
    assert outcomes[0 if saved_first else 1].result is saved.completion
    first, second = (whole_text(each.result).prompt for each in outcomes if each.result is not None)
    found = aligned(first, second)
    assert found.characters == len(saved.text) - 1  # the first token has no logprob
    np.testing.assert_allclose(found.differences, 0, atol=1e-4)  # the same model


def test_two_saved_answers_need_no_call(engines: Engines, saved: SavedAnswer) -> None:
    sides = (saved, saved)
    assert not scored_now("models", sides).questions
    assert [each.result for each in compared(engines, sides).outcomes] == [saved.completion] * 2


def test_a_text_without_an_answer_is_scored_as_a_prompt(engines: Engines) -> None:
    question = reading_of("tiny", "abab")
    (outcome,) = compared(engines, (question,)).outcomes
    assert outcome.result is not None
    again = saved_answer("tiny", question.request, outcome.result, CREATED)
    assert same_reading("tiny", again) == question
    assert again.text == "abab"


def test_a_failed_side_leaves_the_saved_one(engines: Engines, saved: SavedAnswer) -> None:
    too_long = Question("tiny", Request("a" * 100_000, max_tokens=0))
    first, second = compared(engines, (saved, too_long)).outcomes
    assert first.result is saved.completion
    assert second.state is State.FAILED


def test_the_subject_says_which_side_was_saved_and_when(saved: SavedAnswer) -> None:
    now = same_reading("tiny", saved)
    assert comparison("models", (now, saved)).marks == (0, CREATED)
    assert comparison("models", (now, now)).marks == ()


def test_a_response_without_its_request_is_compared_by_its_tokens() -> None:
    prompt, answer = tokens_of("<s>", "What?", special=[0]), tokens_of(" Yes", logprobs=[-0.5])
    done = completion_of(prompt, answer, text=" Yes", request=None)
    side = saved_answer("", None, done, CREATED)
    assert side.text == "What? Yes"
    assert same_reading("tiny", side).candidates == (" Yes",)
    alone = saved_answer("", None, replace(done, prompt=prompt[:0]), CREATED)
    assert alone.text == " Yes" == text_of(alone.question, alone.completion)
    assert same_reading("tiny", alone).candidates == ()
