"""The outcome of a plan: for each answer the completion, the error, or why it was not started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from lib.core.completion import Completion
from lib.errors import CandorError, CapReached


class State(StrEnum):
    """The state of one answer."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    NOT_STARTED = "not begun"  # because the job was stopped or a cap was reached


@dataclass(frozen=True)
class Outcome:
    """The outcome of one answer."""

    state: State = State.WAITING
    completion: Completion | None = None  # partial unless the state is DONE; possibly from an earlier try
    error: CandorError | None = None
    note: str = ""  # what a running call is doing or waiting for


@dataclass(frozen=True)
class Batch:
    """The outcomes of all answers: call by call, and those of a call in the order of its samples or candidates."""

    outcomes: tuple[Outcome, ...] = ()
    seconds: float = 0.0  # elapsed
    seconds_left: float | None = None  # an estimate; None before the first answer is done
    cap: CapReached | None = None  # set if the session's cap kept calls from starting

    def count(self, *states: State) -> int:
        """The number of answers in any of these states."""
        counted = Counter(each.state for each in self.outcomes)
        return sum(counted[state] for state in states)

    @property
    def completions(self) -> tuple[Completion, ...]:
        """The completions so far, partial ones included."""
        return tuple(each.completion for each in self.outcomes if each.completion is not None)

    @property
    def missing(self) -> int:
        """The number of answers that failed or were not started."""
        return self.count(State.FAILED, State.NOT_STARTED)


def batch_of(completions: Iterable[Completion]) -> Batch:
    """The batch of answers that are there already."""
    return Batch(tuple(Outcome(State.DONE, each) for each in completions))
