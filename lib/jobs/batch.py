"""Run many calls as one job: several at a time, each with its own outcome, so that one failure does not affect others.

It is the work of a `lib.jobs.job.Job`, so it belongs to the process: a page that is reloaded finds it again, and no
call is made twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from lib.errors import Cancelled, CandorError, CapReached, as_error
from lib.jobs.job import Job, unforeseen

T = TypeVar("T")

AT_ONCE = 32  # calls in flight: more than engines run at once, so that one can start while another is decoded
_POLL = 0.1  # seconds between two looks at the job's cancellation, and between two published states

log = logging.getLogger(__name__)


class State(StrEnum):
    """The state of one call."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    NOT_STARTED = "not begun"  # because the job was stopped or a cap was reached


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """The outcome of one call."""

    state: State = State.WAITING
    result: T | None = None  # partial unless the state is DONE; possibly from an earlier try
    error: CandorError | None = None
    note: str = ""  # what a running call is doing or waiting for


@dataclass(frozen=True)
class Many(Generic[T]):
    """The outcomes of all calls, in their order."""

    outcomes: tuple[Outcome[T], ...]
    seconds: float = 0.0  # elapsed
    seconds_left: float | None = None  # an estimate; None before the first call is done
    cap: CapReached | None = None  # set if the session's cap kept calls from starting

    def count(self, *states: State) -> int:
        """The number of calls in any of these states."""
        counted = Counter(each.state for each in self.outcomes)
        return sum(counted[state] for state in states)


class _Signal:
    """An event that fires once. Callbacks run when it fires, or immediately if it already has."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self.given = False

    def tell(self, call: Callable[[], None]) -> None:
        with self._lock:
            self._calls.append(call)
            late = self.given
        if late:
            call()

    def give(self) -> None:
        with self._lock:
            self.given, calls = True, list(self._calls)
        for call in calls:
            call()


class Task(Generic[T]):
    """A call as its work sees it. Thread-safe."""

    def __init__(self) -> None:
        self.note = ""
        self.partial: T | None = None
        self._stop, self._cancel = _Signal(), _Signal()

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.given or self._cancel.given

    def publish(self, partial: T | None = None, *, note: str | None = None) -> None:
        """Called by the work: report progress."""
        if partial is not None:
            self.partial = partial
        if note is not None:
            self.note = note

    def on_stop(self, call: Callable[[], None]) -> None:
        """Called by the work: how to start nothing new and finish what has been sent."""
        self._stop.tell(call)

    def on_cancel(self, call: Callable[[], None]) -> None:
        """Called by the work: how to stop immediately."""
        self._cancel.tell(call)

    def stop(self) -> None:
        """Start nothing new."""
        self._stop.give()

    def cancel(self) -> None:
        """Stop immediately."""
        self._cancel.give()


def run_many(
    works: Sequence[Callable[[Task[T]], T]], *, at_once: int = AT_ONCE, before: Many[T] | None = None
) -> Callable[[Job[Many[T]]], Many[T]]:
    """The work of a job that runs all `works`, `at_once` of them at a time.

    before: the result of an earlier job with the same works; only those that failed or did not start are run again.

    A cancelled job starts nothing new and finishes the calls in flight, which are already paid for. Cancelled again, it
    drops those, too. Results and partial results are kept either way.
    """

    def work(job: Job[Many[T]]) -> Many[T]:
        return _Run(works, at_once, before, job).run()

    return work


class _Run(Generic[T]):
    def __init__(
        self, works: Sequence[Callable[[Task[T]], T]], at_once: int, before: Many[T] | None, job: Job[Many[T]]
    ) -> None:
        earlier = before.outcomes if before is not None else ()
        self._works, self._job = works, job
        self._outcomes: list[Outcome[T]] = [
            (earlier[place] if earlier[place].state is State.DONE else Outcome(result=earlier[place].result))
            if place < len(earlier)
            else Outcome()
            for place in range(len(works))
        ]
        self._left = deque(place for place, each in enumerate(self._outcomes) if each.state is State.WAITING)
        self._all = len(self._left)
        self._at_work = min(at_once, self._all)
        self._running: dict[int, Task[T]] = {}
        self._finished = 0
        self._cap: CapReached | None = None
        self._lock = threading.Lock()
        self._change = threading.Event()
        self._began = time.monotonic()

    def run(self) -> Many[T]:
        for _ in range(self._at_work):
            threading.Thread(target=self._worker, name="candor-call", daemon=True).start()
        stopped = force_stopped = False
        while self._at_work:
            self._change.wait(_POLL)
            self._change.clear()
            if self._job.cancelled and not stopped:
                stopped = True
                self._stop_all(Task.stop)
            if self._job.force_stopped and not force_stopped:
                force_stopped = True
                self._stop_all(Task.cancel)
            self._job.publish(self.state(), note="Finishing calls in flight" if stopped else "Waiting for answers")
        return self.state()

    def state(self) -> Many[T]:
        """A snapshot of all outcomes."""
        with self._lock:
            outcomes = list(self._outcomes)
            for place, task in self._running.items():
                outcomes[place] = Outcome(State.RUNNING, self._so_far(place, task), note=task.note)
            finished, cap = self._finished, self._cap
        passed = time.monotonic() - self._began
        left = passed / finished * (self._all - finished) if finished else None
        return Many(tuple(outcomes), passed, left, cap)

    def _stop_all(self, how: Callable[[Task[T]], None]) -> None:
        with self._lock:
            self._leave_the_rest()
            tasks = list(self._running.values())
        for task in tasks:
            how(task)

    def _leave_the_rest(self) -> None:
        while self._left:
            self._leave(self._left.popleft())

    def _leave(self, place: int) -> None:
        self._outcomes[place] = Outcome(State.NOT_STARTED, self._outcomes[place].result)

    def _worker(self) -> None:
        while True:
            with self._lock:
                if not self._left:
                    self._at_work -= 1
                    if not self._at_work:
                        self._change.set()
                    return
                place, task = self._left.popleft(), Task[T]()
                self._running[place] = task
            outcome = self._outcome(place, task)
            with self._lock:
                del self._running[place]
                self._finished += 1
                if outcome is None or isinstance(outcome.error, CapReached):
                    self._leave(place)
                else:
                    self._outcomes[place] = outcome
                if outcome is not None and isinstance(outcome.error, CapReached):
                    self._cap = outcome.error
                    self._leave_the_rest()

    def _outcome(self, place: int, task: Task[T]) -> Outcome[T] | None:
        """Run one call; None if it was stopped before it had a partial result."""
        try:
            return Outcome(State.DONE, self._works[place](task))
        except Cancelled as error:
            nothing = task.partial is None and task.cancelled
            return None if nothing else Outcome(State.FAILED, self._so_far(place, task), error)
        except CandorError as error:
            return Outcome(State.FAILED, self._so_far(place, task), error)
        except (Exception, SystemExit, KeyboardInterrupt):  # whatever it is, the other calls and this thread continue
            log.exception("a call of job %s failed", self._job.id[:6])
            return Outcome(State.FAILED, self._so_far(place, task), unforeseen(self._job.id))
        except BaseException as error:  # a panic of a native library is not an Exception, and would end this thread
            log.exception("a call of job %s failed", self._job.id[:6])
            return Outcome(State.FAILED, self._so_far(place, task), as_error(error, "working on this"))

    def _so_far(self, place: int, task: Task[T]) -> T | None:
        """The partial result of a call, from this try or an earlier one."""
        return task.partial if task.partial is not None else self._outcomes[place].result
