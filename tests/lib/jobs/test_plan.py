"""Several questions as one job: samples and candidates in order, including one that fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.sources import BedrockModel
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.errors import InvalidRequest
from lib.jobs.batch import Many, State
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job, Jobs
from lib.jobs.plan import Several, ask_several
from lib.jobs.run import Question
from tests.support import tiny

SAMPLES = Question("tiny", Request("a", max_tokens=3, n=2))
CANDIDATES = Question("tiny", Request("a", max_tokens=0), candidates=("bab", "bb"))
ARN = BedrockModel("arn:aws:bedrock:us-east-1:123456789012:imported-model/abc")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """A model that generates "babababa…"."""
    logits = tiny.chain("ab", follow={ord("b"): ord("a")}, odds=3.0)
    directory: Path = tiny.make_markov(tmp_path_factory.mktemp("several") / "model", logits, context=100_000)
    engine = LocalEngine(load(str(directory)))
    yield Engines(lambda _: engine)
    engine.close()


def over(engines: Engines, *questions: Question) -> Many[Completion]:
    several = Several("rank", questions)
    job: Job[Many[Completion]] = Jobs().start(ask_several(engines, several), subject=several)
    assert job.wait(30)
    assert job.result is not None
    assert len(job.result.outcomes) == len(several.places)
    return job.result


def test_samples_and_candidates_are_in_order(engines: Engines) -> None:
    many = over(engines, SAMPLES, CANDIDATES)
    answers = [each.result for each in many.outcomes]
    assert [each.text for each in answers if each] == ["bab", "bab", "bab", "bb"]
    assert [each.origin for each in answers if each] == ["generated", "generated", "scored", "scored"]
    sampled, _, forced, _ = answers
    assert sampled is not None
    assert forced is not None
    np.testing.assert_allclose(sampled.generated.logprobs, forced.generated.logprobs, atol=1e-4)
    assert Several("rank", (SAMPLES, CANDIDATES)).places == (0, 0, 1, 1)


def test_a_failure_leaves_the_others(engines: Engines) -> None:
    many = over(engines, SAMPLES, replace(CANDIDATES, candidates=("", "bb")), CANDIDATES)
    assert [each.state for each in many.outcomes] == [State.DONE] * 2 + [State.FAILED] * 2 + [State.DONE] * 2
    assert isinstance(many.outcomes[2].error, InvalidRequest)


def test_one_text_after_several_prompts_is_one_call(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, counts = engines.get("tiny"), []

    def counted(requests: Sequence[Request], text: str, *, owner: str = "") -> tuple[Completion, ...]:
        counts.append(len(requests))
        return LocalEngine.score_under(engine, requests, text, owner=owner)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "score_under", counted)
    under = [Question("tiny", Request(prompt, max_tokens=0), candidates=("bab",)) for prompt in ("a", "ba", "aba")]
    many = over(engines, *under, SAMPLES)
    assert counts == [3]
    assert [each.result.text for each in many.outcomes if each.result] == ["bab"] * 5
    for each in many.outcomes[:3]:
        assert each.result is not None
        assert np.isfinite(each.result.generated.logprobs).all()


def test_a_stopped_job_keeps_its_results(engines: Engines) -> None:
    endless = replace(SAMPLES, request=replace(SAMPLES.request, max_tokens=90_000))
    job = Jobs().start(ask_several(engines, Several("rank", (CANDIDATES, endless))))
    assert job.wait_for_news(0, 10)
    while not any(each.state is State.DONE for each in (job.partial or Many(())).outcomes):
        assert not job.wait(0.05)
    job.cancel()
    job.cancel()
    assert job.wait(30)
    assert job.result is not None
    assert [each.state for each in job.result.outcomes[:2]] == [State.DONE] * 2
    for each in job.result.outcomes[2:]:
        assert each.result is None or each.result.stop_reason == "cancelled"


def test_calls_and_tokens_are_known_in_advance() -> None:
    here = Several("rank", (SAMPLES, CANDIDATES))
    there = Several("rank", (replace(SAMPLES, source=ARN), replace(CANDIDATES, source=ARN)))
    assert (here.billed_calls, there.billed_calls) == (0, 4)
    assert (here.scored_texts, there.scored_texts) == (2, 2)
    read = Several("models", (Question("tiny", Request("a text", max_tokens=0)),))
    assert (read.scored_texts, read.max_new_tokens) == (1, 0)
    assert here.max_new_tokens == there.max_new_tokens == 6
