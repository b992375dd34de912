"""Write jobs into the store while they run, from one background thread that they never wait for.

What cannot be written is retried, and the page works meanwhile. A run that the store keeps failing on while it accepts
others is given up after a few tries, with a message that names it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lib.access.visitor import Visitor
from lib.core.completion import Completion
from lib.errors import CandorError
from lib.jobs.batch import Batch
from lib.jobs.job import Job
from lib.store.answer_rows import extends, slice_of
from lib.store.database import StoreRefused
from lib.store.job_runs import answers_of, ended
from lib.store.quota import StoreFull
from lib.store.run import Run, microseconds
from lib.store.runs import Part, Runs

_INTERVAL = 0.5  # seconds between two looks at the jobs
_PAUSE = 5.0  # seconds after a failure
_ERASE_INTERVAL = 60.0  # seconds between two looks for removed runs to erase
_AT_ONCE = 64  # answers that are appended in one transaction
_MAX_TRIES = 5  # for a run that the store fails on; the waits between them double
_MAX_GIVEN_UP = 100  # messages that are remembered

log = logging.getLogger(__name__)


@dataclass
class _Followed:
    """A job, its run, and how much of it is written."""

    job: Job[Any]
    run: Run
    begun: bool = False  # whether the run is in the store
    version: int = -1  # of the job, when its answers were last written
    written: dict[int, tuple[int, Completion]] = field(default_factory=dict)  # by place: (parts, the answer so far)
    failures: int = 0  # in a row
    not_before: float = 0.0  # time.monotonic() of the next try


class RunWriter:
    """Follows jobs and writes them. Thread-safe.

    open_runs: opens the store; called again after a failure. every: seconds between writes. pause: seconds after a
    failure.
    """

    def __init__(self, open_runs: Callable[[], Runs], every: float = _INTERVAL, pause: float = _PAUSE) -> None:
        self._open, self._interval, self._pause = open_runs, every, pause
        self._runs: Runs | None = None
        self._followed: dict[str, _Followed] = {}
        self._lock = threading.Lock()  # guards _followed and _given_up
        self._writing = threading.Lock()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._erase_after: float | None = None  # seconds
        self._erased = -_ERASE_INTERVAL  # time.monotonic() of the last look
        self.problem: CandorError | None = None  # why something cannot be written now
        self._given_up: OrderedDict[str, tuple[str, CandorError]] = OrderedDict()  # by run: (owner, message)

    def follow(self, job: Job[Any], run: Run) -> None:
        """Save a job as a run from now until it is over. Never raises or waits."""
        with self._lock:
            self._followed[run.id] = _Followed(job, run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow_all, name="candor-writer", daemon=True)
                self._thread.start()
        self._news.set()

    def forget(self, run_id: str, by: Visitor) -> None:
        """Stop saving a run of the visitor and remove what is written. Raises StoreUnavailable."""
        with self._writing:
            with self._lock:
                followed = self._followed.get(run_id)
                if followed is not None and by.owns(followed.run.owner):
                    del self._followed[run_id]
            self._store().remove([run_id], by=by)

    def given_up(self, by: Visitor) -> dict[str, CandorError]:
        """Messages about the visitor's runs that will not be saved, by run id."""
        with self._lock:
            return {run_id: error for run_id, (owner, error) in self._given_up.items() if by.owns(owner)}

    def waiting(self, run_id: str) -> bool:
        """Whether part of a run is not written yet."""
        return run_id in self._followed

    def erase_removed(self, seconds: float) -> None:
        """From now on, erase runs this many seconds after their removal."""
        self._erase_after = seconds

    def close(self, seconds: float) -> bool:
        """Write what is left and stop, waiting at most `seconds`; returns whether everything was written."""
        done = self.flush(seconds)
        self._closed = True
        self._news.set()
        if self._thread is not None:
            self._thread.join(seconds)
        return done

    def flush(self, seconds: float) -> bool:
        """Write what is left, waiting at most `seconds`; returns whether everything was written.

        Of jobs that are still running, what they have published so far is written.
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
            self._news.wait(self._interval if self._followed else _ERASE_INTERVAL)
            self._news.clear()
            if not self._closed and not (self._write_all() and self._erase()):
                time.sleep(self._pause)

    def _erase(self) -> bool:
        """Erase runs whose time has come, once per _ERASE_INTERVAL; returns False on failure."""
        now = time.monotonic()
        if self._erase_after is None or now - self._erased < _ERASE_INTERVAL:
            return True
        self._erased = now
        try:
            self._store().erase(microseconds() - int(self._erase_after * 1e6))
        except CandorError as error:
            self.problem, self._runs = error, None
            return False
        except Exception:
            log.exception("removed runs cannot be erased")
            return False
        return True

    def _write_all(self) -> bool:
        """Write what is new of every job; returns whether the store is available."""
        with self._writing:
            with self._lock:
                followed = list(self._followed.values())
            waiting: CandorError | None = None
            accepted = False  # whether the store has accepted something in this round
            for each in followed:
                if time.monotonic() >= each.not_before:
                    wrote = self._try(each, accepted=accepted)
                    if wrote is None:
                        return False
                    accepted = wrote or accepted
                if each.failures and each.run.id in self._followed:
                    waiting = CandorError("A run cannot be saved at the moment.", "Candor tries again.")
            self.problem = waiting
            return True

    def _try(self, followed: _Followed, *, accepted: bool) -> bool | None:
        """Write what is new of a job; returns whether something was, or None if the store is unavailable.

        accepted: whether the store has just accepted another run; then an error is about this run.
        """
        try:
            wrote = self._write(followed)
            followed.failures = 0
            return wrote
        except StoreFull as error:
            self._give_up(followed, error)
        except StoreRefused as error:
            self._failed(followed, error)
        except CandorError as error:
            if not accepted:
                self._unavailable(followed, error)
                return None
            self._failed(followed, error)
        except Exception as error:  # whatever it is, the other runs are written
            self._failed(followed, error)
        return False

    def _unavailable(self, followed: _Followed, error: CandorError) -> None:
        """The store accepts nothing now, or not this run: put it last, so that the others are tried first."""
        if self.problem is None:
            log.warning("runs cannot be saved: %s", error.detail or error.cause)
        self.problem, self._runs = error, None
        with self._lock:
            if (same := self._followed.pop(followed.run.id, None)) is not None:
                self._followed[followed.run.id] = same

    def _failed(self, followed: _Followed, error: Exception) -> None:
        """Schedule another try, or give up after the last one."""
        followed.failures += 1
        run = followed.run
        log.error("run %s cannot be saved, try %d", run.id[:6], followed.failures, exc_info=error)
        if followed.failures < _MAX_TRIES:
            followed.not_before = time.monotonic() + self._pause * 2 ** (followed.failures - 1)
            return
        self._give_up(
            followed,
            CandorError(
                f"{_named(run)} is not saved: the store failed on it {_MAX_TRIES} times.",
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
            while len(self._given_up) > _MAX_GIVEN_UP:
                self._given_up.popitem(last=False)

    def _store(self) -> Runs:
        if self._runs is None:
            self._runs = self._open()
        return self._runs

    def _write(self, followed: _Followed) -> bool:
        """Write what is new of a job; returns whether something was."""
        runs, job = self._store(), followed.job
        wrote = not followed.begun
        if not followed.begun:
            runs.begin(followed.run)
            followed.begun = True
        over, version = job.over, job.version  # in this order: what happens in between is seen the next time
        if over:
            runs.finish(ended(followed.run, job), answers_of(job.result if job.result is not None else job.partial))
            with self._lock:
                if self._followed.get(followed.run.id) is followed:
                    del self._followed[followed.run.id]
            return True
        if version != followed.version and job.partial is not None:
            wrote = _write_parts(runs, followed, job.partial) or wrote
            followed.version = version
        return wrote


def _write_parts(runs: Runs, followed: _Followed, batch: Batch) -> bool:
    """Append what is new of every answer, many of them at a time; returns whether something is."""
    done = {place: each.completion for place, each in enumerate(batch.outcomes) if each.completion is not None}
    new = [part for place, each in done.items() if (part := _new_part(followed, place, each)) is not None]
    for first in range(0, len(new), _AT_ONCE):
        some = new[first : first + _AT_ONCE]
        runs.append_all(followed.run.id, some)
        followed.written |= {each.place: (each.part + 1, done[each.place]) for each in some}
    return bool(new)


def _new_part(followed: _Followed, place: int, done: Completion) -> Part | None:
    """What is new of one answer; None if nothing is."""
    parts, before = followed.written.get(place, (0, done))
    if parts and before is done:
        return None
    if not extends(done, before):
        parts = 0
    return Part(place, parts, slice_of(done, len(before.generated), len(before.text)) if parts else done)


def _named(run: Run) -> str:
    return f"The run “{run.title}” of {run.page}" if run.title else f"A run of {run.page}"
