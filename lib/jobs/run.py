"""Run one request as a job: load the model if necessary, follow the stream, keep partial results on cancellation."""

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

_ATTEMPTS = 3  # with engines that are unloaded before they take the request
_INTERVAL = 0.04  # seconds between partial results, each of which takes time to assemble


@dataclass(frozen=True)
class Question:
    """A request and the model it goes to: all that a page needs to show a job again."""

    source: Source
    request: Request
    fork: Fork | None = None  # where a branch leaves another answer
    candidates: tuple[str, ...] = ()  # texts to score as answers; if there are any, nothing is generated

    @property
    def max_new_tokens(self) -> int:
        """The limit on new tokens of all samples together."""
        return 0 if self.candidates else self.request.max_tokens * self.request.n

    @property
    def max_characters_read(self) -> int:
        """An upper limit on the characters that the model reads, without its own answers."""
        request = self.request
        prompt = len(request.prompt or "") + sum(len(each.content) for each in request.messages)
        return prompt * max(request.n, len(self.candidates)) + sum(map(len, self.candidates))

    @property
    def original_request(self) -> Request:
        """The request that the user entered; for a branch, that of its root."""
        return self.request if self.fork is None else self.fork.asked


def ask(engines: Engines, question: Question, *, owner: str = "") -> Callable[[Job[Completion]], Completion]:
    """The work of a job that answers a question with one completion."""

    def work(job: Job[Completion]) -> Completion:
        with closing(stream_of(engines, question, owner, job, live=True)) as stream:
            job.on_cancel(stream.close)
            return follow(stream, job, question.fork)

    return work


def one_by_one(question: Question) -> list[Question]:
    """Split a question with n samples into n questions with one each. The seed counts up, so that samples differ."""
    request = question.request
    seeds = [None if request.seed is None else (request.seed + i) % MAX_SEED for i in range(request.n)]
    return [replace(question, request=replace(request, n=1, seed=seed)) for seed in seeds]


def ask_each(
    engines: Engines, questions: Sequence[Question], *, owner: str = ""
) -> list[Callable[[Task[Completion]], Completion]]:
    """One work for `lib.jobs.batch.run_many` per question."""

    def work(question: Question, task: Task[Completion]) -> Completion:
        with closing(stream_of(engines, question, owner, task, live=False)) as stream:
            task.on_stop(stream.stop)
            task.on_cancel(stream.close)
            return follow(stream, task, question.fork)

    return [partial(work, question) for question in questions]


def wake(engines: Engines, source: BedrockModel) -> Callable[[Job[Completion]], Completion]:
    """The work of a job that warms up an imported model, which is billed like any other call."""

    def work(job: Job[Completion]) -> Completion:
        engine = engines.get(source)
        if not isinstance(engine, BedrockEngine):
            raise TypeError(f"{source} is not an imported model")
        job.publish(note="Warming up the model")
        with closing(engine.warm_up()) as stream:
            job.on_cancel(stream.close)
            return follow(stream, job)

    return work


class NoteSink(Protocol):
    """Receives progress notes."""

    def publish(self, *, note: str | None = None) -> None:
        """Receive a note for the page."""


class ProgressSink(Protocol):
    """Receives partial results: a `Job`, or a `Task` of a batch."""

    @property
    def cancelled(self) -> bool:
        """Whether the work was asked to stop."""

    def publish(self, partial: Completion | None = None, *, note: str | None = None) -> None:
        """Receive a partial result or a note."""


def stream_of(engines: Engines, question: Question, owner: str, sink: NoteSink, *, live: bool) -> Stream:
    """The engine's stream of deltas. Raises CandorError."""
    if question.candidates:  # scoring is exempt from the limit on new tokens
        raise InvalidRequest("Candidates are scored, not generated.", "Open the run on the page that started it.")

    def open_stream(engine: Engine) -> Stream:
        if question.request.prefix_ids and (reason := engine.continuation_obstacle(question.request)):
            raise InvalidRequest(reason)
        return engine.stream(question.request, owner=owner, live=live)

    return with_engine(engines, question.source, sink, open_stream)


def with_engine(engines: Engines, source: Source, sink: NoteSink, use: Callable[[Engine], T]) -> T:
    """Call `use` with the engine of a source, which is loaded if necessary."""
    left = _ATTEMPTS
    while True:
        if not engines.ready(source):
            sink.publish(note="Loading the model")
        engine = engines.get(source)
        sink.publish(note="Waiting for the model" if engine.busy else "Reading the prompt")
        left -= 1
        try:
            return use(engine)
        except Cancelled:
            # The engine was unloaded just before the request; the next attempt loads a new one.
            if not left:
                raise


def follow(stream: Stream, sink: ProgressSink, fork: Fork | None = None) -> Completion:
    """Read a stream to its end and publish partial results; if it breaks off, the partial result is kept.

    fork: of a branch, whose kept tokens then have the scores they had in the parent answer.
    """
    collected, due = Fold(), 0.0

    def so_far() -> Completion:
        done = collected.completions()[0]
        return done if fork is None else merge_into_parent(done, fork)

    try:
        for delta in stream:
            collected.add(delta)
            if delta.note:
                sink.publish(note=delta.note)
            elif delta.start is None and time.monotonic() >= due:  # a prompt without an answer is not published
                sink.publish(so_far(), note="Generating")
                due = time.monotonic() + _INTERVAL
    except Cancelled:
        if not collected.completions():
            raise
        reason = "cancelled" if sink.cancelled else "incomplete"  # incomplete: the engine was unloaded
        return replace(so_far(), stop_reason=reason)
    except CandorError:
        if collected.completions():
            sink.publish(so_far())
        raise
    return so_far()
