"""Runs the calls of a job: several at a time, each with its own outcome, so that one failure does not affect others."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from lib.core.completion import Completion
from lib.errors import Cancelled, CandorError, CapReached, as_error
from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.job import Job, unforeseen

AT_ONCE = 32  # calls in flight: more than engines run at once, so that one can start while another is decoded
_POLL = 0.1  # seconds between two looks at the job's cancellation
_INTERVAL = 0.04  # seconds between two published states, each of which takes time to assemble

log = logging.getLogger(__name__)

Answers = Sequence[Completion | None]


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


class Task:
    """A unit of work as seen from inside. Thread-safe."""

    def __init__(self, on_news: Callable[[], None] = lambda: None) -> None:
        """on_news: called after each publication."""
        self.note = ""
        self.partial: Answers | None = None  # one per place; None before the first
        self._stop, self._cancel, self._on_news = _Signal(), _Signal(), on_news

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.given or self._cancel.given

    def publish(self, partial: Answers | None = None, *, note: str | None = None) -> None:
        """Called by the work: report progress."""
        if partial is not None:
            self.partial = partial
        if note is not None:
            self.note = note
        self._on_news()

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


@dataclass(frozen=True)
class Unit:
    """Answers that come together: of one request to a service, or of one batch of a local model."""

    places: tuple[int, ...]  # of the answers among all
    work: Callable[[Task], Answers]  # returns one completion per place; None for one that was never started


def run_units(
    units: Sequence[Unit], outcomes: Sequence[Outcome], *, at_once: int = AT_ONCE
) -> Callable[[Job[Batch]], Batch]:
    """The work of a job that runs all units, `at_once` of them at a time.

    outcomes: of all answers so far. Those of no unit stay as they are.

    A cancelled job starts nothing new and finishes the calls in flight, which are already paid for. Cancelled again, it
    drops those, too. Completions and partial ones are kept either way.
    """

    def work(job: Job[Batch]) -> Batch:
        return _Run(units, outcomes, at_once, job).run()

    return work


class _Run:
    def __init__(self, units: Sequence[Unit], outcomes: Sequence[Outcome], at_once: int, job: Job[Batch]) -> None:
        self._units, self._job = units, job
        self._outcomes = list(outcomes)
        self._left = deque(range(len(units)))
        self._at_work = min(at_once, len(units))
        self._running: dict[int, Task] = {}
        self._finished = 0
        self._cap: CapReached | None = None
        self._lock = threading.Lock()
        self._change, self._ended = threading.Event(), threading.Event()
        self._began = time.monotonic()

    def run(self) -> Batch:
        for _ in range(self._at_work):
            threading.Thread(target=self._worker, name="candor-call", daemon=True).start()
        self._job.on_cancel(lambda: self._stop_all(Task.stop))
        try:
            self._watch()
        except BaseException:
            self._stop_all(Task.cancel)  # no one would read what they return
            raise
        return self.state()

    def _watch(self) -> None:
        """Publish what is new until all workers have ended."""
        force_stopped = False
        while self._at_work:
            self._change.wait(_POLL)
            self._change.clear()
            if self._job.force_stopped and not force_stopped:
                force_stopped = True
                self._stop_all(Task.cancel)
            self._publish()
            self._ended.wait(_INTERVAL)

    def _publish(self) -> None:
        with self._lock:
            notes = [task.note for task in self._running.values() if task.note]
        waiting = next(iter(notes), "Starting") if len(self._units) == 1 else "Waiting for answers"
        self._job.publish(self.state(), note="Finishing calls in flight" if self._job.cancelled else waiting)

    def state(self) -> Batch:
        """A snapshot of all outcomes."""
        with self._lock:
            outcomes = list(self._outcomes)
            for number, task in self._running.items():
                for place, partial in zip(self._units[number].places, self._so_far(number, task), strict=True):
                    outcomes[place] = Outcome(State.RUNNING, partial, note=task.note)
            finished, cap = self._finished, self._cap
        passed = time.monotonic() - self._began
        left = passed / finished * (len(self._units) - finished) if finished else None
        return Batch(tuple(outcomes), passed, left, cap)

    def _stop_all(self, how: Callable[[Task], None]) -> None:
        with self._lock:
            self._leave_the_rest()
            tasks = list(self._running.values())
        for task in tasks:
            how(task)

    def _leave_the_rest(self) -> None:
        while self._left:
            self._leave(self._left.popleft())

    def _leave(self, number: int) -> None:
        for place in self._units[number].places:
            self._outcomes[place] = Outcome(State.NOT_STARTED, self._outcomes[place].completion)

    def _worker(self) -> None:
        while True:
            with self._lock:
                if not self._left:
                    self._at_work -= 1
                    if not self._at_work:
                        self._ended.set()
                        self._change.set()
                    return
                number, task = self._left.popleft(), Task(self._on_news)
                self._running[number] = task
            outcomes = self._outcomes_of(number, task)
            cap = next((each.error for each in outcomes or () if isinstance(each.error, CapReached)), None)
            with self._lock:
                del self._running[number]
                self._finished += 1
                if outcomes is None or cap is not None:
                    self._leave(number)
                else:
                    for place, outcome in zip(self._units[number].places, outcomes, strict=True):
                        self._outcomes[place] = outcome
                if cap is not None:
                    self._cap = cap
                    self._leave_the_rest()

    def _on_news(self) -> None:
        if not self._change.is_set():  # setting it takes a lock, for which a thousand calls would wait
            self._change.set()

    def _outcomes_of(self, number: int, task: Task) -> list[Outcome] | None:
        """Run one unit; None if it was stopped before it had any partial completion."""
        unit = self._units[number]
        try:
            done = unit.work(task)
        except Cancelled as error:
            return None if task.partial is None and task.cancelled else self._failed(number, task, error)
        except CandorError as error:
            return self._failed(number, task, error)
        except (Exception, SystemExit, KeyboardInterrupt):  # whatever it is, the other calls and this thread continue
            log.exception("a call of job %s failed", self._job.id[:6])
            return self._failed(number, task, unforeseen(self._job.id))
        except BaseException as error:  # a panic of a native library is not an Exception, and would end this thread
            log.exception("a call of job %s failed", self._job.id[:6])
            return self._failed(number, task, as_error(error, "working on this"))
        return [
            Outcome(State.NOT_STARTED, self._outcomes[place].completion) if each is None else Outcome(State.DONE, each)
            for place, each in zip(unit.places, chain(done, repeat(None)), strict=False)
        ]

    def _failed(self, number: int, task: Task, error: CandorError) -> list[Outcome]:
        return [Outcome(State.FAILED, partial, error) for partial in self._so_far(number, task)]

    def _so_far(self, number: int, task: Task) -> list[Completion | None]:
        """The partial completions of a unit, from this try or an earlier one."""
        return [
            self._outcomes[place].completion if each is None else each
            for place, each in zip(self._units[number].places, chain(task.partial or (), repeat(None)), strict=False)
        ]
