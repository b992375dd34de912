"""Panics of native libraries, which are not Exceptions: each fails its own call and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from lib.core.sources import LocalModel
from lib.errors import CandorError, InvalidRequest, OutOfMemory, as_error
from lib.jobs.batch import Outcome, State
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job, Jobs
from lib.jobs.runner import Task, Unit, run_units
from tests.support.strategies import completion_of, tokens_of


def panic(_: Any) -> Any:
    """Encode with a template that adds a token the tokenizer lacks."""
    spec = json.loads(Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")).to_str())
    pieces = [{"SpecialToken": {"id": "[X]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    spec["post_processor"] = {
        "type": "TemplateProcessing",
        "single": pieces,
        "pair": pieces,
        "special_tokens": {},
    }
    return Tokenizer.from_str(json.dumps(spec)).encode("a")


def test_the_panic_is_not_an_exception() -> None:
    """Otherwise, the tests below prove nothing."""
    with pytest.raises(BaseException, match="no entry") as raised:
        panic(None)
    assert not isinstance(raised.value, Exception)


def _is_explained(error: BaseException | None) -> None:
    assert isinstance(error, CandorError)
    assert error.cause.startswith("A library failed while")
    assert error.remedy.endswith(".")
    assert "panic" not in str(error).lower()


def test_a_job_that_panics_has_an_error() -> None:
    job = Jobs().start(panic)
    assert job.wait(10)
    _is_explained(job.error)


DONE = completion_of(tokens_of("a"), tokens_of("b"))


def _run(works: list[Callable[[Task], Any]]) -> Any:
    return run_units([Unit((place,), work) for place, work in enumerate(works)], [Outcome()] * len(works), at_once=1)


def test_a_call_that_panics_leaves_the_others() -> None:
    works: list[Callable[[Task], Any]] = [panic, lambda _: [DONE], panic, lambda _: [DONE]]
    job = Jobs().start(_run(works))  # one worker: it has to outlive both
    assert job.wait(20)
    assert job.result is not None
    assert [each.completion for each in job.result.outcomes] == [None, DONE, None, DONE]
    for place in (0, 2):
        assert job.result.outcomes[place].state is State.FAILED
        _is_explained(job.result.outcomes[place].error)


def test_a_call_that_exits_leaves_the_others() -> None:
    def leave(_: Task) -> Any:
        raise SystemExit

    works: list[Callable[[Task], Any]] = [leave, lambda _: [DONE]]
    job = Jobs().start(_run(works))
    assert job.wait(10), "the job waits for a worker that is gone"
    assert job.result is not None
    assert job.result.outcomes[1].completion is DONE
    assert job.result.outcomes[0].state is State.FAILED


def test_a_model_that_panics_while_it_loads_is_an_error_for_all_who_wait() -> None:
    engines = Engines(panic)
    for _ in range(2):  # nor is it remembered as if it were an engine
        with pytest.raises(CandorError) as raised:
            engines.get(LocalModel("model"))
        _is_explained(raised.value)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_process_is_not_swallowed(kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        as_error(kind(), "working on this")
    job: Job[Any] = Job(lambda _: (_ for _ in ()).throw(kind()))
    with pytest.raises(kind):
        job.run()
    assert job.over
    assert job.error is not None


def test_an_error_with_its_own_text_keeps_it() -> None:
    error = InvalidRequest("No.", "Ask otherwise.")
    assert as_error(error, "working on this") is error
    assert isinstance(as_error(MemoryError(), "working on this"), OutOfMemory)
    assert "secret" not in str(as_error(ZeroDivisionError("secret"), "working on this"))
