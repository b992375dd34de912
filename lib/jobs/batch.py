"""Many calls as one job: so many at once, each with its own outcome, and one that fails does not sink the others.

The work of a `lib.jobs.job.Job`, so it belongs to the process: a page that is reloaded or closed finds it again, and
no call is made twice.
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

AT_ONCE = 32  # works under way: more than engines take at once, so that one can begin while another is read
_LOOK = 0.1  # seconds between two looks at what was asked of the job meanwhile, and between two published states

log = logging.getLogger(__name__)


class State(StrEnum):
    """Of one call."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    NOT_STARTED = "not begun"  # as the job was stopped, or its cap reached


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of one call.

    result: once it is done; of one that failed or was stopped, what had come until then, be it in an earlier try. note:
    what a call that runs is waiting for.
    """

    state: State = State.WAITING
    result: T | None = None
    error: CandorError | None = None
    note: str = ""


@dataclass(frozen=True)
class Many(Generic[T]):
    """All outcomes, in the order of what was asked.

    seconds: at work so far. seconds_left: an estimate, None before one is done. cap: why no more are begun, where that
    is the session's cap.
    """

    outcomes: tuple[Outcome[T], ...]
    seconds: float = 0.0
    seconds_left: float | None = None
    cap: CapReached | None = None

    @property
    def finished(self) -> float:
        """The part of all calls that is over, one way or another, from 0 to 1."""
        return 1 - self.count(State.WAITING, State.RUNNING) / len(self.outcomes) if self.outcomes else 1.0

    def count(self, *states: State) -> int:
        """How many are in one of these states."""
        counted = Counter(each.state for each in self.outcomes)
        return sum(counted[state] for state in states)


class _Signal:
    """Something that happens once, and who wants to hear of it, then or at once if it has happened already."""

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
    """One call as its work sees it. May be used from any thread."""

    def __init__(self) -> None:
        self.note = ""
        self.partial: T | None = None
        self._stop, self._cancel = _Signal(), _Signal()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._stop.given or self._cancel.given

    def publish(self, partial: T | None = None, *, note: str | None = None) -> None:
        """Called by the work: here is how far it has come."""
        if partial is not None:
            self.partial = partial
        if note is not None:
            self.note = note

    def on_stop(self, call: Callable[[], None]) -> None:
        """Called by the work: how to begin nothing new, and to finish what has been sent."""
        self._stop.tell(call)

    def on_cancel(self, call: Callable[[], None]) -> None:
        """Called by the work: how to end at once."""
        self._cancel.tell(call)

    def stop(self) -> None:
        """Begin nothing new."""
        self._stop.give()

    def cancel(self) -> None:
        """End at once."""
        self._cancel.give()


def run_many(
    works: Sequence[Callable[[Task[T]], T]], *, at_once: int = AT_ONCE, before: Many[T] | None = None
) -> Callable[[Job[Many[T]]], Many[T]]:
    """The work of a job that does all `works`, `at_once` of them at a time.

    before: what an earlier job came to with the same works; only those that failed or were not begun are done again.

    A job that is cancelled begins no more and finishes what is under way, which has been paid for; cancelled again, it
    drops that, too. What has come is kept either way.
    """

    def work(job: Job[Many[T]]) -> Many[T]:
        return _Run(works, at_once, before, job).run()

    return work


class _Run(Generic[T]):
    def __init__(
        self, works: Sequence[Callable[[Task[T]], T]], at_once: int, before: Many[T] | None, job: Job[Many[T]]
    ) -> None:
        kept = before.outcomes if before is not None else ()
        self._works, self._job = works, job
        self._outcomes: list[Outcome[T]] = [
            (kept[place] if kept[place].state is State.DONE else Outcome(result=kept[place].result))
            if place < len(kept)
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
            self._change.wait(_LOOK)
            self._change.clear()
            if self._job.cancelled and not stopped:
                stopped = True
                self._stop_all(Task.stop)
            if self._job.force_stopped and not force_stopped:
                force_stopped = True
                self._stop_all(Task.cancel)
            self._job.publish(self.state(), note="Finishing what is under way" if stopped else "Asking")
        return self.state()

    def state(self) -> Many[T]:
        """A copy of how things stand."""
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
        """What came of a call; None where it was stopped before anything had."""
        try:
            return Outcome(State.DONE, self._works[place](task))
        except Cancelled as error:
            nothing = task.partial is None and task.cancelled
            return None if nothing else Outcome(State.FAILED, self._so_far(place, task), error)
        except CandorError as error:
            return Outcome(State.FAILED, self._so_far(place, task), error)
        except (Exception, SystemExit, KeyboardInterrupt):  # whatever it was, the others go on, and so does this thread
            log.exception("a call of job %s failed", self._job.id[:6])
            return Outcome(State.FAILED, self._so_far(place, task), unforeseen(self._job.id))
        except BaseException as error:  # a panic of a native library is no Exception, and would end this thread
            log.exception("a call of job %s failed", self._job.id[:6])
            return Outcome(State.FAILED, self._so_far(place, task), as_error(error, "working on this"))

    def _so_far(self, place: int, task: Task[T]) -> T | None:
        """What has come of a call, in this try or an earlier one."""
        return task.partial if task.partial is not None else self._outcomes[place].result
