"""Several calls as one job: samples and candidates in order, including one that fails, and what is resumed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.sources import BedrockModel, LocalModel
from lib.engines.base import CallContext
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.errors import CandorError, InvalidRequest
from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.call import Call, answer_alone
from lib.jobs.engine_pool import Engines
from lib.jobs.plan import estimate, places_of
from lib.jobs.run_plan import calls_left
from tests.support import tiny
from tests.support.asking import over, start

SAMPLES = Call(LocalModel("tiny"), Request("a", max_tokens=3, n=2))
CANDIDATES = Call(LocalModel("tiny"), Request("a", max_tokens=0), candidates=("bab", "bb"))
ARN = BedrockModel("arn:aws:bedrock:us-east-1:123456789012:imported-model/abc")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """A model that generates "babababa…"."""
    logits = tiny.chain("ab", follow={ord("b"): ord("a")}, odds=3.0)
    directory: Path = tiny.make_markov(tmp_path_factory.mktemp("several") / "model", logits, context=100_000)
    engine = LocalEngine(load(str(directory)))
    yield Engines(lambda _: engine)
    engine.close()


def test_samples_and_candidates_are_in_order(engines: Engines) -> None:
    many = over(engines, SAMPLES, CANDIDATES)
    answers = [each.completion for each in many.outcomes]
    assert [each.text for each in answers if each] == ["bab", "bab", "bab", "bb"]
    assert [each.origin for each in answers if each] == ["generated", "generated", "scored", "scored"]
    sampled, _, forced, _ = answers
    assert sampled is not None
    assert forced is not None
    np.testing.assert_allclose(sampled.generated.logprobs, forced.generated.logprobs, atol=1e-4)
    assert places_of((SAMPLES, CANDIDATES)) == (0, 0, 1, 1)


def test_a_failure_leaves_the_others(engines: Engines) -> None:
    many = over(engines, SAMPLES, replace(CANDIDATES, candidates=("", "bb")), CANDIDATES)
    assert [each.state for each in many.outcomes] == [State.DONE] * 2 + [State.FAILED] * 2 + [State.DONE] * 2
    assert isinstance(many.outcomes[2].error, InvalidRequest)


def test_one_text_after_several_prompts_is_one_call(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, counts = engines.get(LocalModel("tiny")), []

    def counted(requests: Sequence[Request], text: str, context: CallContext) -> tuple[Completion, ...]:
        counts.append(len(requests))
        return LocalEngine.score_under(engine, requests, text, context)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "score_under", counted)
    under = [
        Call(LocalModel("tiny"), Request(prompt, max_tokens=0), candidates=("bab",)) for prompt in ("a", "ba", "aba")
    ]
    many = over(engines, *under, SAMPLES)
    assert counts == [3]
    assert [each.completion.text for each in many.outcomes if each.completion] == ["bab"] * 5
    for each in many.outcomes[:3]:
        assert each.completion is not None
        assert np.isfinite(each.completion.generated.logprobs).all()


def test_a_stopped_job_keeps_its_results(engines: Engines) -> None:
    endless = replace(SAMPLES, request=replace(SAMPLES.request, max_tokens=90_000))
    job = start(engines, CANDIDATES, endless)
    assert job.wait_for_news(0, 10)
    while not any(each.state is State.DONE for each in (job.partial or Batch()).outcomes):
        assert not job.wait(0.05)
    job.cancel()
    job.cancel()
    assert job.wait(30)
    assert job.result is not None
    assert [each.state for each in job.result.outcomes[:2]] == [State.DONE] * 2
    for each in job.result.outcomes[2:]:
        assert each.completion is None or each.completion.stop_reason == "cancelled"


def test_calls_and_tokens_are_known_in_advance() -> None:
    here = estimate((SAMPLES, CANDIDATES))
    there = estimate((replace(SAMPLES, source=ARN), replace(CANDIDATES, source=ARN)))
    assert (here.billed_calls, there.billed_calls) == (0, 4)
    assert (here.scored_texts, there.scored_texts) == (2, 2)
    read = estimate((Call(LocalModel("tiny"), Request("a text", max_tokens=0)),))
    assert (read.scored_texts, read.max_new_tokens) == (1, 0)
    assert here.max_new_tokens == there.max_new_tokens == 6


def test_only_what_is_missing_is_asked_again(engines: Engines) -> None:
    first = over(engines, SAMPLES, CANDIDATES)
    gone = Outcome(State.FAILED, None, CandorError("It broke.", "Try again."))
    for missing in ({1}, {2}, {0, 3}, {0, 1, 2, 3}, set()):
        some = Batch(tuple(gone if place in missing else each for place, each in enumerate(first.outcomes)))
        left = calls_left((SAMPLES, CANDIDATES), some)
        assert sum(each.answers for each in left) == len(missing)
        again = over(engines, SAMPLES, CANDIDATES, resume=some)
        for place, (before, after) in enumerate(zip(first.outcomes, again.outcomes, strict=True)):
            assert after.state is State.DONE
            assert (after.completion is before.completion) == (place not in missing)
            assert after.completion is not None
            assert before.completion is not None
            assert after.completion.text == before.completion.text


def test_a_sample_alone_is_the_same_as_among_others(engines: Engines) -> None:
    many = Call(LocalModel("tiny"), Request("a", max_tokens=12, n=5, seed=7, temperature=1.5))
    together = over(engines, many)
    alone = over(engines, *(answer_alone(many, number) for number in range(5)))
    assert [each.text for each in together.completions] == [each.text for each in alone.completions]
    assert len({each.text for each in together.completions}) > 1
    some = replace(together, outcomes=(*together.outcomes[:2], Outcome(), Outcome(), *together.outcomes[4:]))
    assert [each.text for each in over(engines, many, resume=some).completions] == [
        each.text for each in together.completions
    ]


def test_keys_say_whether_calls_are_equal() -> None:
    assert SAMPLES.key == Call(LocalModel("tiny"), Request("a", max_tokens=3, n=2)).key
    others = [
        CANDIDATES,
        replace(CANDIDATES, candidates=("bab",)),
        replace(SAMPLES, source=LocalModel("another")),
        replace(SAMPLES, source=ARN),
        replace(SAMPLES, request=replace(SAMPLES.request, seed=1)),
        answer_alone(SAMPLES, 0),
    ]
    assert len({SAMPLES.key, *(each.key for each in others)}) == len(others) + 1
