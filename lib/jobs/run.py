"""Asking an engine as a job: load the model if need be, follow the stream, keep what has come when it is cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from lib.core.branching import Fork, merge_into_parent
from lib.core.completion import Completion
from lib.core.request import MAX_SEED, Request
from lib.core.sources import BedrockModel, Source
from lib.core.stream import Fold
from lib.engines.base import Engine, Stream
from lib.engines.bedrock.engine import BedrockEngine
from lib.errors import Cancelled, CandorError, InvalidRequest
from lib.jobs.batch import Task
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job

T = TypeVar("T")

_ATTEMPTS = 3
_EVERY = 0.04  # seconds between partial results, each of which takes time to put together


@dataclass(frozen=True)
class Question:
    """A request and the model it goes to: what a page keeps of a job so that it can show it again.

    fork: of a branch, where it leaves another answer. candidates: texts that are scored as its answers, in the place of
    answers of the model's own.
    """

    source: Source
    request: Request
    fork: Fork | None = None
    candidates: tuple[str, ...] = ()

    @property
    def max_new_tokens(self) -> int:
        """New tokens that it asks for at most."""
        return 0 if self.candidates else self.request.max_tokens * self.request.n

    @property
    def max_characters_read(self) -> int:
        """Characters that it has a model read at most, its own answers aside."""
        request = self.request
        prompt = len(request.prompt or "") + sum(len(each.content) for each in request.messages)
        return prompt * max(request.n, len(self.candidates)) + sum(map(len, self.candidates))

    @property
    def original_request(self) -> Request:
        """The request that somebody typed, which a branch goes back to."""
        return self.request if self.fork is None else self.fork.asked


def ask(engines: Engines, question: Question, *, owner: str = "") -> Callable[[Job[Completion]], Completion]:
    """The work of a job that answers `question` with one completion."""

    def work(job: Job[Completion]) -> Completion:
        with closing(stream_of(engines, question, owner, job, live=True)) as stream:
            job.on_cancel(stream.close)
            return _follow(stream, job, question.fork)

    return work


def one_by_one(question: Question) -> list[Question]:
    """A question for n answers as n questions for one each. A seed counts up, or all answers would be the same."""
    request = question.request
    seeds = [None if request.seed is None else (request.seed + i) % MAX_SEED for i in range(request.n)]
    return [replace(question, request=replace(request, n=1, seed=seed)) for seed in seeds]


def ask_each(
    engines: Engines, questions: Sequence[Question], *, owner: str = ""
) -> list[Callable[[Task[Completion]], Completion]]:
    """The works for `lib.jobs.batch.run_many` that answer one question each."""

    def work(question: Question, task: Task[Completion]) -> Completion:
        with closing(stream_of(engines, question, owner, task, live=False)) as stream:
            task.on_stop(stream.stop)
            task.on_cancel(stream.close)
            return _follow(stream, task, question.fork)

    return [partial(work, question) for question in questions]


def wake(engines: Engines, source: BedrockModel) -> Callable[[Job[Completion]], Completion]:
    """The work of a job that wakes an imported model, which is billed like any other call of it."""

    def work(job: Job[Completion]) -> Completion:
        engine = engines.get(source)
        if not isinstance(engine, BedrockEngine):
            raise TypeError(f"{source} is no imported model")
        job.publish(note="Waking the model")
        with closing(engine.warm_up()) as stream:
            job.on_cancel(stream.close)
            return _follow(stream, job)

    return work


class NoteSink(Protocol):
    """Whoever hears what is being done."""

    def publish(self, *, note: str | None = None) -> None:
        """What is being done, in words."""


class ProgressSink(Protocol):
    """Whoever hears how far the work has come: a `Job`, or a `Task` of many."""

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked it to stop."""

    def publish(self, partial: Completion | None = None, *, note: str | None = None) -> None:
        """Here is how far it has come."""


def stream_of(engines: Engines, question: Question, owner: str, heard: NoteSink, *, live: bool) -> Stream:
    """The engine's stream of deltas. Raises CandorError."""
    if question.candidates:  # which is free of the share of new tokens
        raise InvalidRequest("Given texts are scored, not written.", "Open the run on the page that asked for it.")

    def open_stream(engine: Engine) -> Stream:
        if question.request.prefix_ids and (reason := engine.continuation_obstacle(question.request)):
            raise InvalidRequest(reason)
        return engine.stream(question.request, owner=owner, live=live)

    return with_engine(engines, question.source, heard, open_stream)


def with_engine(engines: Engines, source: Source, heard: NoteSink, use: Callable[[Engine], T]) -> T:
    """What comes of using a source's engine, which is loaded if need be."""
    left = _ATTEMPTS
    while True:
        if not engines.ready(source):
            heard.publish(note="Loading the model")
        engine = engines.get(source)
        heard.publish(note="Waiting for the model" if engine.busy else "Reading the prompt")
        left -= 1
        try:
            return use(engine)
        except Cancelled:
            # An engine that is let go just before it is asked refuses like that; the next one is a new one.
            if not left:
                raise


def _follow(stream: Stream, heard: ProgressSink, fork: Fork | None = None) -> Completion:
    """Read the stream to its end, publishing what has come; if it breaks off, what had come is kept.

    fork: of a branch, which then has what is known from the answer that it leaves.
    """
    collected, due = Fold(), 0.0

    def so_far() -> Completion:
        done = collected.completions()[0]
        return done if fork is None else merge_into_parent(done, fork)

    try:
        for delta in stream:
            collected.add(delta)
            if delta.note:
                heard.publish(note=delta.note)
            elif delta.start is None and time.monotonic() >= due:  # the prompt alone waits for the first token
                heard.publish(so_far(), note="Writing")
                due = time.monotonic() + _EVERY
    except Cancelled:
        if not collected.completions():
            raise
        reason = "cancelled" if heard.cancelled else "incomplete"  # the latter when the engine had to go
        return replace(so_far(), stop_reason=reason)
    except CandorError:
        if collected.completions():
            heard.publish(so_far())
        raise
    return so_far()
