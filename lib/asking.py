"""Asking an engine as a job: load the model if need be, follow the stream, keep what has come when it is cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from lib.completion import Completion, Fold
from lib.engines import Engines
from lib.errors import Cancelled
from lib.jobs import Job
from lib.request import Request

_EVERY = 0.15  # seconds between partial results: often enough to look alive


@dataclass(frozen=True)
class Question:
    """A request and the model it goes to: what a page keeps of a job so that it can show it again."""

    source: str
    request: Request


def ask(engines: Engines, question: Question, *, owner: str = "") -> Callable[[Job[Completion]], Completion]:
    """The work of a job that answers `question` with one completion."""

    def work(job: Job[Completion]) -> Completion:
        if not engines.ready(question.source):
            job.publish(note="Loading the model")
        engine = engines.get(question.source)
        job.publish(note="Waiting for the model")
        stream = engine.stream(question.request, owner=owner)
        job.on_cancel(stream.close)
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
            return replace(collected.completions()[0], stop_reason="cancelled")
        return collected.completions()[0]

    return work
