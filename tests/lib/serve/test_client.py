"""Candor's client against the local Bedrock, over HTTP: every row of the service's errors, and what it survives."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from lib.core.request import Message, Request
from lib.core.sources import LocalModel
from lib.core.stream import fold
from lib.engines.base import CallContext, complete
from lib.engines.remote.retry import RetryPolicy
from lib.errors import Cancelled, InvalidRequest, ServiceError
from lib.jobs.batch import Batch, State
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job
from lib.serve.service_errors import ERRORS, IN_STREAM
from lib.wire.formats import Format
from tests.support.asking import answer, error, job_for
from tests.support.serve_clients import Served, model_of, until

FAST = RetryPolicy(cold_timeout=20, cold_delays=(0.05, 0.1), first_delay=0.01, max_delay=0.05)
_ROWS = [name for name in ERRORS if name not in ("MissingAuthenticationTokenException", "UnknownOperationException")]
_WAITED_FOR = {"ModelNotReadyException": "did not load"}


def asked(form: Format = Format.OPENAI, **changes: Any) -> Request:
    chat = form is Format.CHAT
    values: dict[str, Any] = {"messages": (Message("user", "abc"),)} if chat else {"prompt": "abc"}
    return Request(**{**values, "max_tokens": 12, "k": 2, **changes})


def answered(served: Served, request: Request, form: Format, patience: RetryPolicy = FAST) -> Job[Batch]:
    """A job as Explore starts it, over."""
    job = job_for(Engines(lambda _: served.engine(form, patience=patience)), Call(LocalModel("any"), request))
    job.run()
    return job


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("code", _ROWS)
def test_every_error_has_a_cause_and_a_remedy(served: Served, code: str, streamed: bool) -> None:
    served.faults({"kind": "error", "code": code})
    engine = served.engine(Format.OPENAI)
    with pytest.raises(ServiceError) as raised:
        fold(engine.stream(asked(prompt_scores=not streamed)))
    error = raised.value
    assert error.code == code
    assert error.cause.endswith(".") or "AWS says:" in error.cause
    assert error.remedy.endswith(".")
    assert "AWS answered with" not in error.cause, "it has no words of its own"
    assert (bool(error.statement), code) in {(True, "AccessDeniedException"), (False, code)}


@pytest.mark.parametrize(("streamed", "action"), [(False, "InvokeModel"), (True, "InvokeModelWithResponseStream")])
def test_a_refusal_comes_with_the_statement_that_is_missing(served: Served, streamed: bool, action: str) -> None:
    served.faults({"kind": "error", "code": "AccessDeniedException"})
    with pytest.raises(ServiceError) as raised:
        fold(served.engine(Format.OPENAI).stream(asked(prompt_scores=not streamed)))
    statement = json.loads(raised.value.statement)
    assert statement["Effect"] == "Allow"
    assert f"bedrock:{action}" in statement["Action"]
    assert statement["Resource"] == served.arn()


@pytest.mark.parametrize("code", IN_STREAM)
@pytest.mark.parametrize("form", [Format.EARLY, Format.BEDROCK, Format.OPENAI, Format.CHAT])
def test_what_had_come_is_kept_when_a_stream_fails(served: Served, form: Format, code: str) -> None:
    served.faults({"kind": "stream-error", "code": code, "after": 4})
    job = answered(served, asked(form, prompt_scores=form is Format.EARLY), form)
    failed, partial = error(job.result), answer(job.result)
    assert isinstance(failed, ServiceError)
    assert failed.code == code
    assert partial is not None
    assert partial.stop_reason == "incomplete"
    assert 1 <= len(partial.generated) <= 4, "everything that came, and not only what was shown last"
    assert until(lambda: not served.service.engines[next(iter(served.service.engines))].busy)


@pytest.mark.parametrize("where", ["frame", "within"])
@pytest.mark.parametrize("form", [Format.EARLY, Format.BEDROCK, Format.OPENAI, Format.CHAT])
def test_a_stream_without_its_end_is_shown_as_cut_off(served: Served, form: Format, where: str) -> None:
    served.faults({"kind": "cut", "after": 4, "where": where, "operation": "stream"})
    job = answered(served, asked(form, prompt_scores=form is Format.EARLY), form)
    assert error(job.result) is None
    done = answer(job.result)
    assert done is not None
    assert done.stop_reason == "incomplete"
    assert len(done.generated)


def test_a_connection_that_breaks_off_keeps_what_had_come(served: Served) -> None:
    served.faults({"kind": "cut", "after": 4, "where": "reset", "operation": "stream"})
    job = answered(served, asked(Format.BEDROCK), Format.BEDROCK)
    failed, partial = error(job.result), answer(job.result)
    assert failed is not None
    assert "dropped" in failed.cause
    assert partial is not None
    assert len(partial.generated)


def test_a_model_that_sleeps_is_waited_for(served: Served) -> None:
    served.faults({"kind": "cold-start", "seconds": 600})
    notes: list[str] = []

    def on_note(note: str) -> None:
        notes.append(note)
        if len(notes) == 2:
            served.faults()  # it is loaded

    (done,) = complete(served.engine(Format.OPENAI, patience=FAST), asked(), CallContext(on_note=on_note))
    assert len(done.generated) == 12
    assert len(notes) >= 2
    assert "is being loaded" in notes[0]
    assert "tried 2 times" in notes[1]


def test_but_not_for_ever(served: Served) -> None:
    served.faults({"kind": "cold-start", "seconds": 600})
    with pytest.raises(ServiceError, match="did not load within") as raised:
        served.engine(Format.OPENAI, patience=replace(FAST, cold_timeout=0.3)).complete(asked())
    assert raised.value.code == "ModelNotReadyException"


def test_whoever_waits_for_it_can_cancel(served: Served) -> None:
    served.faults({"kind": "cold-start", "seconds": 600})
    slow = replace(FAST, cold_delays=(30.0, 30.0), cold_timeout=600.0)
    job = job_for(Engines(lambda _: served.engine(Format.OPENAI, patience=slow)), Call(LocalModel("any"), asked()))
    thread = threading.Thread(target=job.run)
    thread.start()
    assert until(lambda: "is being loaded" in job.note)
    began = time.monotonic()
    job.cancel()
    thread.join(5)
    assert time.monotonic() - began < 2
    assert job.over
    assert job.error is None
    assert job.result is not None
    assert job.result.outcomes[0].state is State.NOT_STARTED


def test_throttling_is_given_time_and_fewer_calls(served: Served) -> None:
    served.faults({"kind": "error", "code": "ThrottlingException", "times": 3})
    engine = served.engine(Format.OPENAI, patience=FAST)
    before = engine.at_once
    notes: list[str] = []
    complete(engine, asked(), CallContext(on_note=notes.append))
    assert len(notes) == 3
    assert all("throttling calls; retrying in" in note for note in notes)
    assert engine.at_once < before
    for _ in range(20):
        engine.complete(asked(max_tokens=1))
    assert engine.at_once > before / 8, "it recovers"


@pytest.mark.parametrize("code", ["ServiceUnavailableException", "InternalServerException"])
def test_what_passes_is_tried_again(served: Served, code: str) -> None:
    served.faults({"kind": "error", "code": code, "times": 2})
    (done,) = served.engine(Format.OPENAI, patience=FAST).complete(asked())
    assert len(done.generated) == 12


@pytest.mark.parametrize(
    "code", ["ModelTimeoutException", "ModelErrorException", "ValidationException", "AccessDeniedException"]
)
def test_what_does_not_pass_is_not(served: Served, code: str) -> None:
    served.faults({"kind": "error", "code": code, "times": 1})
    engine = served.engine(Format.OPENAI, patience=FAST)
    with pytest.raises(ServiceError):
        engine.complete(asked())
    assert engine.complete(asked()), "the next call goes through: there was one only"


def test_a_model_that_gives_fewer_alternatives(served: Served) -> None:
    served.switches(max_logprobs="5")
    engine = served.engine(Format.OPENAI, patience=FAST)
    (done,) = engine.complete(asked(k=10))
    assert done.generated.k == 5
    assert done.request == asked(k=10)
    assert "returns at most 5 alternatives; 10 were requested" in " ".join(done.warnings)
    (again,) = fold(engine.stream(asked(k=10, prompt_scores=False)))
    assert "at most 5 alternatives" in " ".join(again.warnings)
    (fewer,) = engine.complete(asked(k=3))
    assert not fewer.warnings


def test_a_response_without_the_scores_that_were_asked_for_says_so(served: Served) -> None:
    served.faults({"kind": "missing", "field": "prompt_logprobs"})
    (done,) = served.engine(Format.OPENAI).complete(asked())
    assert "the response has none" in " ".join(done.warnings)


@pytest.mark.parametrize("streamed", [False, True])
def test_the_same_answer_either_way(served: Served, streamed: bool) -> None:
    """With prompt scores at once, or as it is written without them."""
    engine = served.engine(Format.OPENAI)
    deltas = list(engine.stream(asked(prompt_scores=not streamed)))
    (done,) = fold(deltas)
    (whole,) = engine.complete(asked())
    assert done.text == whole.text
    assert bool(len(deltas) > 2) is streamed
    scored = done.prompt.logprobs[1:]
    assert scored.size
    assert bool((scored == scored).all()) is not streamed


def test_stopping_keeps_what_came(served: Served) -> None:
    served.faults({"kind": "latency", "between": 0.05})
    request = asked(max_tokens=60, prompt_scores=False)
    job = job_for(Engines(lambda _: served.engine(Format.OPENAI)), Call(LocalModel("any"), request))
    thread = threading.Thread(target=job.run)
    thread.start()
    assert until(lambda: (so_far := answer(job.partial)) is not None and len(so_far.generated) >= 3)
    job.cancel()
    thread.join(5)
    done = answer(job.result)
    assert done is not None
    assert done.stop_reason == "cancelled"
    assert 3 <= len(done.generated) < 60


def test_stopping_gently_lets_a_whole_answer_come(served: Served) -> None:
    """It has been paid for."""
    served.faults({"kind": "latency", "seconds": 0.4})
    stream = served.engine(Format.OPENAI).stream(asked(), CallContext(live=False))
    threading.Timer(0.1, stream.stop).start()
    (done,) = fold(stream)
    assert len(done.generated) == 12


def test_but_waits_for_nothing_more(served: Served) -> None:
    served.faults({"kind": "cold-start", "seconds": 600})
    notes: list[str] = []
    engine = served.engine(Format.OPENAI, patience=replace(FAST, cold_delays=(30.0, 30.0), cold_timeout=600.0))
    stream = engine.stream(asked(), CallContext(on_note=notes.append))
    assert until(lambda: bool(notes))
    stream.stop()
    with pytest.raises(Cancelled):
        next(stream)


def test_each_generation_in_its_own_format(served: Served, open_account: Any) -> None:
    from tests.support.serve_clients import GENERATIONS

    with closing(open_account(served)) as account:
        for name in GENERATIONS:
            engine = account.engine(name)
            if name == "legacy":
                with pytest.raises(InvalidRequest, match="before 2025-07-31"):
                    engine.complete(asked())
                continue
            (done,) = engine.complete(asked())
            expected = Format.EARLY if name == model_of(Format.EARLY) else Format.OPENAI
            assert dict(done.provenance)["format"] == str(expected)
