"""Jobs written into the store as they run: by one thread beside them, which they never wait for.

What cannot be written waits until it can be; the page works meanwhile. A run that the store fails on while it takes
others is tried a few times more, and then given up with a message that names it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lib.access.visitor import Visitor
from lib.core.completion import Completion
from lib.errors import CandorError
from lib.jobs.batch import Many
from lib.jobs.job import Job
from lib.store.database import StoreRefused
from lib.store.runs import CANCELLED, FAILED, FINISHED, Answer, Run, Runs, StoreFull, microseconds, slice_of

_EVERY = 0.5  # seconds between two looks at the jobs
_PAUSE = 5.0  # seconds after a failure
_CLEARING = 60.0  # seconds between two looks at what is to be erased
_TRIES = 5  # of a run that the store fails on; the waits between them double
_MOST_GIVEN_UP = 100  # messages that are remembered

log = logging.getLogger(__name__)


@dataclass
class _Followed:
    """A job, its run, and what of it is written."""

    job: Job[Any]
    run: Run
    begun: bool = False
    version: int = -1
    written: dict[int, tuple[int, Completion]] = field(default_factory=dict)  # by place: (parts, the last state)
    failures: int = 0
    not_before: float = 0.0  # when it is tried again, of time.monotonic


class RunWriter:
    """Follows jobs and writes them. May be used from any thread.

    open_runs: opens the store; called again after it failed.
    """

    def __init__(self, open_runs: Callable[[], Runs], every: float = _EVERY, pause: float = _PAUSE) -> None:
        self._open, self._every, self._pause = open_runs, every, pause
        self._runs: Runs | None = None
        self._followed: dict[str, _Followed] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._patience: float | None = None
        self._cleared = -_CLEARING
        self.problem: CandorError | None = None  # why something cannot be written just now
        self._given_up: OrderedDict[str, tuple[str, CandorError]] = OrderedDict()  # by run: (owner, message)

    def follow(self, job: Job[Any], run: Run) -> None:
        """Keep a job as a run, from now until it is over. Never raises, never waits."""
        with self._lock:
            self._followed[run.id] = _Followed(job, run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow_all, name="candor-keeper", daemon=True)
                self._thread.start()
        self._news.set()

    def forget(self, run_id: str, by: Visitor) -> None:
        """Do not save a run of the visitor: what is written of it is removed. Raises StoreUnavailable."""
        with self._writing:
            with self._lock:
                followed = self._followed.get(run_id)
                if followed is not None and by.owns(followed.run.owner):
                    del self._followed[run_id]
            self._store().remove([run_id], by=by)

    def given_up(self, by: Visitor) -> dict[str, CandorError]:
        """Messages on the visitor's runs that are not saved and will not be, by their ids."""
        with self._lock:
            return {run_id: error for run_id, (owner, error) in self._given_up.items() if by.owns(owner)}

    def waiting(self, run_id: str) -> bool:
        """Whether some of a run is not written yet."""
        return run_id in self._followed

    def erase_removed(self, seconds: float) -> None:
        """From now on, erase runs for good so long after they were removed."""
        self._patience = seconds

    def close(self, seconds: float) -> bool:
        """Write what there is, waiting at most so long for it, and end; returns whether all of it could be written."""
        done = self.flush(seconds)
        self._closed = True
        self._news.set()
        if self._thread is not None:
            self._thread.join(seconds)
        return done

    def flush(self, seconds: float) -> bool:
        """Write what there is, waiting at most so long for it; returns whether all of it could be.

        Jobs that go on are written as far as they have come.
        """
        until = time.monotonic() + seconds
        while True:
            if self._write_all() and all(not each.job.over for each in list(self._followed.values())):
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(min(0.1, seconds))

    def _follow_all(self) -> None:
        while not self._closed:
            self._news.wait(self._every if self._followed else _CLEARING)
            self._news.clear()
            if not self._closed and not (self._write_all() and self._clear()):
                time.sleep(self._pause)

    def _clear(self) -> bool:
        """Erase what was removed long enough ago, now and then; returns whether that could be done."""
        now = time.monotonic()
        if self._patience is None or now - self._cleared < _CLEARING:
            return True
        self._cleared = now
        try:
            self._store().erase(microseconds() - int(self._patience * 1e6))
        except CandorError as error:
            self.problem, self._runs = error, None
            return False
        except Exception:
            log.exception("removed runs cannot be erased")
            return False
        return True

    def _write_all(self) -> bool:
        """Whether everything that there is is written."""
        with self._writing:
            with self._lock:
                followed = list(self._followed.values())
            waiting, taken = None, False
            for each in followed:
                if time.monotonic() >= each.not_before:
                    try:
                        taken = self._write(each) or taken
                        each.failures = 0
                    except StoreFull as error:
                        self._give_up(each, error)
                    except StoreRefused as error:
                        self._failed(each, error)
                    except CandorError as error:
                        if not taken:
                            self._unavailable(each, error)
                            return False
                        self._failed(each, error)  # the store has just taken another run
                    except Exception as error:  # whatever it was, the others are written
                        self._failed(each, error)
                if each.failures and each.run.id in self._followed:
                    waiting = CandorError("A run cannot be saved at the moment.", "Candor tries again.")
            self.problem = waiting
            return True

    def _unavailable(self, followed: _Followed, error: CandorError) -> None:
        """The store takes nothing now, or not this run: the next time, the others come first."""
        if self.problem is None:
            log.warning("runs cannot be saved: %s", error.detail or error.cause)
        self.problem, self._runs = error, None
        with self._lock:
            if (same := self._followed.pop(followed.run.id, None)) is not None:
                self._followed[followed.run.id] = same

    def _failed(self, followed: _Followed, error: Exception) -> None:
        """Try it again later; after a few times, say that it is given up."""
        followed.failures += 1
        run = followed.run
        log.error("run %s cannot be saved, try %d", run.id[:6], followed.failures, exc_info=error)
        if followed.failures < _TRIES:
            followed.not_before = time.monotonic() + self._pause * 2 ** (followed.failures - 1)
            return
        self._give_up(
            followed,
            CandorError(
                f"{_named(run)} is not saved: the store failed on it {_TRIES} times.",
                "Download its answers from the page. The server's log has the reason.",
            ),
        )

    def _give_up(self, followed: _Followed, why: CandorError) -> None:
        run = followed.run
        with self._lock:
            self._followed.pop(run.id, None)
            if isinstance(why, StoreFull):
                why = StoreFull(f"{_named(run)} is not saved. {why.cause}", why.remedy)
            self._given_up[run.id] = run.owner, why
            while len(self._given_up) > _MOST_GIVEN_UP:
                self._given_up.popitem(last=False)

    def _store(self) -> Runs:
        if self._runs is None:
            self._runs = self._open()
        return self._runs

    def _write(self, followed: _Followed) -> bool:
        """Write what is new of a job; returns whether there was something."""
        runs, job = self._store(), followed.job
        wrote = not followed.begun
        if not followed.begun:
            runs.begin(followed.run)
            followed.begun = True
        over, version = job.over, job.version  # in this order: what comes between is seen the next time
        if over:
            runs.finish(ended(followed.run, job), answers_of(job.result if job.result is not None else job.partial))
            with self._lock:
                if self._followed.get(followed.run.id) is followed:
                    del self._followed[followed.run.id]
            return True
        if version != followed.version and job.partial is not None:
            for place, answer in enumerate(answers_of(job.partial)):
                if answer.completion is not None:
                    wrote = self._write_part(runs, followed, place, answer.completion) or wrote
            followed.version = version
        return wrote

    def _write_part(self, runs: Runs, followed: _Followed, place: int, done: Completion) -> bool:
        parts, before = followed.written.get(place, (0, done))
        if parts and before is done:
            return False
        if not continues(done, before):
            parts = 0
        piece = slice_of(done, len(before.generated), len(before.text)) if parts else done
        runs.append(followed.run.id, place, parts, piece)
        followed.written[place] = (parts + 1, done)
        return True


def answers_of(value: Completion | Many[Completion] | tuple[Completion, ...] | None) -> tuple[Answer, ...]:
    """What came of a job, as the answers of a run."""
    if value is None:
        return ()
    if isinstance(value, Completion):
        return (Answer(value),)
    if isinstance(value, Many):
        return tuple(Answer(each.result, _words(each.error)) for each in value.outcomes)
    return tuple(Answer(each) for each in value)


def ended(run: Run, job: Job[Any]) -> Run:
    """The run of a job that is over, under the name that the model gives itself."""
    came = answers_of(job.result if job.result is not None else job.partial)
    names = [each.completion.model for each in came if each.completion is not None]
    state = FAILED if job.error is not None else CANCELLED if job.cancelled else FINISHED
    model = next(filter(None, names), run.model)
    return replace(run, model=model, state=state, error=_words(job.error), seconds=job.seconds)


def _named(run: Run) -> str:
    return f"The run “{run.title}” of {run.page}" if run.title else f"A run of {run.page}"


def _words(error: CandorError | None) -> tuple[str, str] | None:
    return None if error is None else (error.cause, error.remedy)


def continues(after: Completion, before: Completion) -> bool:
    """Whether one is the other with more at its end."""
    return _begins_with(after.prompt, before.prompt, whole=True) and (
        _begins_with(after.generated, before.generated) and after.text.startswith(before.text)
    )


def _begins_with(after: Any, before: Any, *, whole: bool = False) -> bool:
    rows = len(before)
    if len(after) < rows or (whole and len(after) != rows):
        return False
    columns: Sequence[str] = ("ids", "kinds", "ranks")
    return after.k == before.k and all(
        np.array_equal(getattr(after, name)[:rows], getattr(before, name)) for name in columns
    )
