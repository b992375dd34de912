"""Long or paid work that belongs to the process, not to the page that asked for it.

A page starts a job, keeps its id, and looks it up again on every rerun, after a reload, from another tab. The work runs
once, whatever the page does; its result stays until it has been seen.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from lib.access.visitor import ALONE, MOST_JOBS, SIGNED_OUT, Visitor
from lib.errors import Busy, Cancelled, CandorError, InvalidRequest, as_error

T = TypeVar("T")

_KEEP_SEEN = 64  # finished and seen; the ones that ended longest ago go first
_KEEP_UNSEEN = 256
_MOST_RUNNING = 64

log = logging.getLogger(__name__)


class Job(Generic[T]):
    """One piece of work and what has come of it. Attributes may be read from any thread.

    id: 128 random bits. owner: whose it is, see `lib.access.visitor`. subject: what was asked, for a page that finds
    the job again. note: what it is doing, in words. partial: the latest that was published. result and error: set once
    it is over. A cancelled job keeps its partial. successor: the job that goes on where this one ended. kept: whether
    it is written into the store as it goes on.
    """

    def __init__(self, work: Callable[[Job[T]], T], subject: object = None, owner: str = "") -> None:
        self.id = secrets.token_urlsafe(16)
        self.subject, self.owner = subject, owner
        self.note = ""
        self.partial: T | None = None
        self.version = 0
        self.result: T | None = None
        self.error: CandorError | None = None
        self.seen = False
        self.kept = False
        self.successor: Job[T] | None = None
        self.started = time.monotonic()
        self.ended: float | None = None
        self._work = work
        self._cancel = threading.Event()
        self._insist = threading.Event()
        self._interrupts: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._news = threading.Condition()

    @classmethod
    def over_already(
        cls,
        job_id: str,
        subject: object,
        result: T | None,
        error: CandorError | None,
        seconds: float,
        owner: str = "",
    ) -> Job[T]:
        """A job that was done some other time."""

        def nothing(_: Job[T]) -> T:
            raise RuntimeError("this job is over")

        job = cls(nothing, subject, owner)
        job.id, job.error, job.seen = job_id, error, True
        job.result, job.partial = (result, None) if error is None else (None, result)
        job.ended = job.started + seconds
        job._over.set()
        return job

    @property
    def over(self) -> bool:
        """Whether the work has ended, one way or another."""
        return self._over.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether someone asked it to stop; the work looks here between its steps."""
        return self._cancel.is_set()

    @property
    def latest(self) -> Job[T]:
        """The last job that went on after this one; itself where none did."""
        job = self
        while job.successor is not None:
            job = job.successor
        return job

    @property
    def seconds(self) -> float:
        """How long it has been, or was, at work."""
        return (self.ended or time.monotonic()) - self.started

    def publish(self, partial: T | None = None, *, note: str | None = None) -> None:
        """Called by the work: here is how far it has come."""
        if partial is not None:
            self.partial = partial
        if note is not None:
            self.note = note
        with self._news:
            self.version += 1
            self._news.notify_all()

    @property
    def force_stopped(self) -> bool:
        """Whether someone asked it a second time, and would rather lose what is under way."""
        return self._insist.is_set()

    def cancel(self) -> None:
        """Ask the work to stop; a second time, to stop at once."""
        if self.cancelled:
            self._insist.set()
        self._cancel.set()
        self._interrupt()

    def on_cancel(self, call: Callable[[], None]) -> None:
        """Called by the work: this is how to interrupt what it now waits for. Called at most once."""
        with self._lock:
            self._interrupts.append(call)
        if self.cancelled:
            self._interrupt()

    def _interrupt(self) -> None:
        with self._lock:  # whoever takes a call out of the list makes it
            calls, self._interrupts = self._interrupts, []
        for call in calls:
            call()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; returns whether it came in time."""
        return self._over.wait(seconds)

    def wait_for_news(self, version: int, seconds: float) -> int:
        """Wait until it has come further than `version`, or is over, or so long; returns how far it has come."""
        with self._news:
            self._news.wait_for(lambda: self.version > version or self.over, seconds)
            return self.version

    def run(self) -> None:
        """Do the work in this thread. Never raises; what went wrong is in `error`."""
        try:
            self.result = self._work(self)
        except Cancelled as error:
            self.error = None if self.cancelled else error
        except CandorError as error:
            self.error = error
        except Exception:  # the page must hear of it, whatever it was
            log.exception("job %s failed", self.id[:6])
            self.error = unforeseen(self.id)
        except BaseException as error:  # a panic of a native library, of which the page must hear, too
            log.exception("job %s failed", self.id[:6])
            self.error = unforeseen(self.id)  # where the next line raises
            self.error = as_error(error, "working on this")
        finally:
            self.ended = time.monotonic()
            self._over.set()
            with self._news:
                self._news.notify_all()


def unforeseen(job_id: str) -> CandorError:
    """What to say of an error that nobody foresaw. The log has it under the beginning of the id."""
    return CandorError(
        "Something went wrong inside Candor.", f"Try again; the server's log has the details under {job_id[:6]}."
    )


def _not_shared(_: str) -> bool:
    return False


class Jobs:
    """All jobs of a process."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job[object]] = {}
        self._lock = threading.Lock()
        self._succession = threading.Lock()

    def start(self, work: Callable[[Job[T]], T], subject: object = None, by: Visitor = ALONE) -> Job[T]:
        """Run `work(job)` in a thread of its own. Raises Busy when this visitor, or all together, run too many."""
        return self._begin(Job(work, subject, by.owner), by)

    def go_on(self, after: Job[T], work: Callable[[Job[T]], T], by: Visitor = ALONE) -> Job[T]:
        """The job that follows another, about the same and under its id; started once, however often it is asked for.

        Raises InvalidRequest where the other is not the visitor's, Busy.
        """
        if not by.owns(after.owner):
            raise InvalidRequest("This run belongs to someone else.", "Run it again to get your own copy.")
        with self._succession:
            if after.successor is None:
                successor = Job(work, after.subject, after.owner)
                # The same to a page that looks for it; and news of it are newer than any of the one before.
                successor.id, successor.version = after.id, after.version
                after.successor = self._begin(successor, by)
            return after.successor

    def restore(
        self,
        job_id: str,
        subject: object,
        *,
        result: T | None,
        error: CandorError | None,
        seconds: float,
        owner: str = "",
    ) -> Job[T]:
        """A job that was over before this process began, under the id it had then; the one that is there, if one is.

        With an error, `result` is what had come before it.
        """
        with self._lock:
            there: Any = self._jobs.get(job_id)
            if there is None or there.owner != owner:
                made = Job[Any].over_already(job_id, subject, result, error, seconds, owner)
                if there is not None:  # another's, of a run that the store no longer has
                    return made
                there = self._jobs[job_id] = made
                self._forget_old()
            latest: Job[T] = there.latest
            return latest

    def _begin(self, job: Job[T], by: Visitor) -> Job[T]:
        if by == SIGNED_OUT:
            raise InvalidRequest("You are not signed in.", "Sign in, then ask again.")
        with self._lock:
            running = [each for each in self._jobs.values() if not each.over]
            if len(running) >= _MOST_RUNNING:
                raise Busy("Too many jobs are running.", "Try again in a moment.")
            if not by.alone and sum(each.owner == job.owner for each in running) >= MOST_JOBS:
                raise Busy(f"You have {MOST_JOBS} answers running.", "Wait for one to end, or stop it.")
            self._forget_old()
            self._jobs[job.id] = job  # type: ignore[assignment]
        threading.Thread(target=job.run, name=f"candor-job-{job.id[:6]}", daemon=True).start()
        return job

    def find(self, job_id: str | None, by: Visitor, shared: Callable[[str], bool] = _not_shared) -> Job[object] | None:
        """The job with that id, or the last that followed it; None when there is none that this visitor may see.

        shared: whether the owner of the job with that id shares it; asked only where that decides.
        """
        job = self._jobs.get(job_id) if job_id else None
        if job is None or not (by.opens(job.owner, shared=False) or by.opens(job.owner, shared=shared(job.id))):
            return None
        return job.latest

    def _forget_old(self) -> None:
        over = sorted((job for job in self._jobs.values() if job.over), key=lambda job: job.ended or 0.0)
        seen = [job for job in over if job.seen]
        unseen = [job for job in over if not job.seen]
        for job in [*seen[: max(len(seen) - _KEEP_SEEN, 0)], *unseen[: max(len(unseen) - _KEEP_UNSEEN, 0)]]:
            del self._jobs[job.id]
