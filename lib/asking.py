"""Asking an engine as a job: load the model if need be, follow the stream, keep what has come when it is cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from lib.completion import Completion, Fold
from lib.engine import Stream
from lib.engines import Engines
from lib.errors import Cancelled
from lib.jobs import Job
from lib.request import Request
from lib.sources import Source

_ATTEMPTS = 3
_EVERY = 0.15  # seconds between partial results: often enough to look alive


@dataclass(frozen=True)
class Question:
    """A request and the model it goes to: what a page keeps of a job so that it can show it again."""

    source: Source
    request: Request


def ask(engines: Engines, question: Question, *, owner: str = "") -> Callable[[Job[Completion]], Completion]:
    """The work of a job that answers `question` with one completion."""

    def work(job: Job[Completion]) -> Completion:
        if not engines.ready(question.source):
            job.publish(note="Loading the model")
        with closing(_stream(engines, question, owner, job)) as stream:
            job.on_cancel(stream.close)
            return _follow(stream, job)

    return work


def _stream(engines: Engines, question: Question, owner: str, job: Job[Completion]) -> Stream:
    left = _ATTEMPTS
    while True:
        engine = engines.get(question.source)
        job.publish(note="Waiting for the model" if engine.busy else "Reading the prompt")
        left -= 1
        try:
            return engine.stream(question.request, owner=owner)
        except Cancelled:
            # An engine that is let go just before it is asked refuses like that; the next one is a new one.
            if not left:
                raise


def _follow(stream: Stream, job: Job[Completion]) -> Completion:
    """Read the stream to its end, publishing what has come; if it breaks off, what had come is the answer."""
    collected, due = Fold(), 0.0
    try:
        for delta in stream:
            collected.add(delta)
            if time.monotonic() >= due:
                job.publish(collected.completions()[0], note="Writing")
                due = time.monotonic() + _EVERY
    except Cancelled:
        if not collected.completions():
            raise
        reason = "cancelled" if job.cancelled else "incomplete"  # the latter when the engine had to go
        return replace(collected.completions()[0], stop_reason=reason)
    return collected.completions()[0]
