"""Long or paid work that belongs to the process, not to the page that started it.

A page starts a job, stores its id, and looks it up again on every rerun, after a reload, or from another tab. The work
runs once, whatever the page does, and its result stays until it has been seen.
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
from lib.jobs.plan import Plan

T = TypeVar("T")

KEEP_SEEN = 64  # finished jobs whose result has been seen; the ones that ended first are dropped first
KEEP_UNSEEN = 256  # finished jobs whose result has not been seen
MAX_RUNNING = 64

log = logging.getLogger(__name__)


class Job(Generic[T]):
    """One piece of work and its result. Attributes may be read from any thread."""

    def __init__(self, work: Callable[[Job[T]], T], plan: Plan | None = None, owner: str = "") -> None:
        self.id = secrets.token_urlsafe(16)  # 128 random bits
        self.plan = plan  # for a page that finds the job again; None for a saved response
        self.owner = owner  # see `lib.access.visitor`
        self.note = ""  # what it is doing now, for the page
        self.partial: T | None = None  # the latest that was published; a cancelled job keeps it
        self.version = 0  # counts publications
        self.result: T | None = None  # set once it is over
        self.error: CandorError | None = None  # set once it is over
        self.seen = False  # whether a page has shown the result
        self.kept = False  # whether it is saved while it runs
        self.successor: Job[T] | None = None  # the job that continues this one
        self.started = time.monotonic()
        self.ended: float | None = None  # time.monotonic()
        self._work = work
        self._cancel = threading.Event()
        self._force_stop = threading.Event()
        self._interrupts: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._news = threading.Condition()

    @classmethod
    def over_already(
        cls,
        job_id: str,
        plan: Plan | None,
        result: T | None,
        error: CandorError | None,
        seconds: float,
        owner: str = "",
    ) -> Job[T]:
        """A job that ended earlier."""

        def nothing(_: Job[T]) -> T:
            raise RuntimeError("this job is over")

        job = cls(nothing, plan, owner)
        job.id, job.error, job.seen = job_id, error, True
        job.result, job.partial = (result, None) if error is None else (None, result)
        job.ended = job.started + seconds
        job._over.set()
        return job

    @property
    def over(self) -> bool:
        """Whether the work has ended, successfully or not."""
        return self._over.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop; the work checks this between steps."""
        return self._cancel.is_set()

    @property
    def latest(self) -> Job[T]:
        """The last job in the line of successors; itself if it has none."""
        job = self
        while job.successor is not None:
            job = job.successor
        return job

    @property
    def seconds(self) -> float:
        """Seconds since it started, or its duration once it is over."""
        return (self.ended or time.monotonic()) - self.started

    def publish(self, partial: T | None = None, *, note: str | None = None) -> None:
        """Called by the work: report progress."""
        if partial is not None:
            self.partial = partial
        if note is not None:
            self.note = note
        with self._news:
            self.version += 1
            self._news.notify_all()

    @property
    def force_stopped(self) -> bool:
        """Whether it was asked to stop a second time, and should drop what is in progress."""
        return self._force_stop.is_set()

    def cancel(self) -> None:
        """Ask the work to stop; the second call asks it to stop immediately."""
        if self.cancelled:
            self._force_stop.set()
        self._cancel.set()
        self._interrupt()

    def on_cancel(self, call: Callable[[], None]) -> None:
        """Called by the work: how to interrupt what it waits for. `call` is called at most once."""
        with self._lock:
            self._interrupts.append(call)
        if self.cancelled:
            self._interrupt()

    def _interrupt(self) -> None:
        with self._lock:  # the thread that takes a call from the list makes it
            calls, self._interrupts = self._interrupts, []
        for call in calls:
            call()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; returns whether the job is over."""
        return self._over.wait(seconds)

    def wait_for_news(self, version: int, seconds: float) -> int:
        """Wait at most `seconds` for a version after `version`, or for the end; returns the current version."""
        with self._news:
            self._news.wait_for(lambda: self.version > version or self.over, seconds)
            return self.version

    def run(self) -> None:
        """Do the work in this thread. Never raises; a failure is in `error`."""
        try:
            self.result = self._work(self)
        except Cancelled as error:
            self.error = None if self.cancelled else error
        except CandorError as error:
            self.error = error
        except Exception:  # the page must learn of it, whatever it is
            log.exception("job %s failed", self.id[:6])
            self.error = unforeseen(self.id)
        except BaseException as error:  # a panic of a native library is not an Exception
            log.exception("job %s failed", self.id[:6])
            self.error = unforeseen(self.id)  # in case the next line raises
            self.error = as_error(error, "working on this")
        finally:
            self.ended = time.monotonic()
            self._over.set()
            with self._news:
                self._news.notify_all()


def unforeseen(job_id: str) -> CandorError:
    """The error to show for an unexpected exception. The log has it under the first characters of the id."""
    return CandorError(
        "Something went wrong inside Candor.", f"Try again; the server's log has the details under {job_id[:6]}."
    )


def _not_shared(_: str) -> bool:
    return False


class Jobs:
    """All jobs of a process.

    max_running: jobs at a time, of all visitors. keep_seen, keep_unseen: finished jobs that are kept, by whether a page
    has shown their result.
    """

    def __init__(
        self, *, max_running: int = MAX_RUNNING, keep_seen: int = KEEP_SEEN, keep_unseen: int = KEEP_UNSEEN
    ) -> None:
        self._max_running, self._keep_seen, self._keep_unseen = max_running, keep_seen, keep_unseen
        self._jobs: dict[str, Job[object]] = {}
        self._lock = threading.Lock()
        self._succession = threading.Lock()

    def start(self, work: Callable[[Job[T]], T], plan: Plan | None = None, by: Visitor = ALONE) -> Job[T]:
        """Run `work(job)` in a new thread. Raises Busy if this visitor, or all together, run too many jobs."""
        return self._begin(Job(work, plan, by.owner), by)

    def go_on(self, after: Job[T], work: Callable[[Job[T]], T], by: Visitor = ALONE) -> Job[T]:
        """The job that continues another, with its plan and id. It is started only by the first call.

        Raises InvalidRequest if the other job is not the visitor's, and Busy.
        """
        if not by.owns(after.owner):
            raise InvalidRequest("This run belongs to someone else.", "Run it again to get your own copy.")
        with self._succession:
            if after.successor is None:
                successor = Job(work, after.plan, after.owner)
                # A page finds it under the same id, and its versions follow those of the job before.
                successor.id, successor.version = after.id, after.version
                after.successor = self._begin(successor, by)
            return after.successor

    def restore(
        self,
        job_id: str,
        plan: Plan | None,
        *,
        result: T | None,
        error: CandorError | None,
        seconds: float,
        owner: str = "",
    ) -> Job[T]:
        """A job from an earlier process, under its old id; the existing job if this process has one.

        result: with an error, the partial result.
        """
        with self._lock:
            there: Any = self._jobs.get(job_id)
            if there is None or there.owner != owner:
                made = Job[Any].over_already(job_id, plan, result, error, seconds, owner)
                if there is not None:  # another owner's, of a run that is no longer in the store
                    return made
                there = self._jobs[job_id] = made
                self._forget_old()
            latest: Job[T] = there.latest
            return latest

    def _begin(self, job: Job[T], by: Visitor) -> Job[T]:
        if by == SIGNED_OUT:
            raise InvalidRequest("You are not signed in.", "Sign in, then try again.")
        with self._lock:
            running = [each for each in self._jobs.values() if not each.over]
            if len(running) >= self._max_running:
                raise Busy("Too many jobs are running.", "Try again in a moment.")
            if not by.alone and sum(each.owner == job.owner for each in running) >= MOST_JOBS:
                raise Busy(f"You have {MOST_JOBS} answers running.", "Wait for one to finish, or stop it.")
            self._forget_old()
            self._jobs[job.id] = job  # type: ignore[assignment]
        threading.Thread(target=job.run, name=f"candor-job-{job.id[:6]}", daemon=True).start()
        return job

    def find(self, job_id: str | None, by: Visitor, shared: Callable[[str], bool] = _not_shared) -> Job[object] | None:
        """The job with this id, or its last successor; None if there is none that this visitor may see.

        shared: returns whether the owner of the job with that id shares it; called only if the result depends on it.
        """
        job = self._jobs.get(job_id) if job_id else None
        if job is None or not (by.opens(job.owner, shared=False) or by.opens(job.owner, shared=shared(job.id))):
            return None
        return job.latest

    def _forget_old(self) -> None:
        over = sorted((job for job in self._jobs.values() if job.over), key=lambda job: job.ended or 0.0)
        seen = [job for job in over if job.seen]
        unseen = [job for job in over if not job.seen]
        for job in [*seen[: max(len(seen) - self._keep_seen, 0)], *unseen[: max(len(unseen) - self._keep_unseen, 0)]]:
            del self._jobs[job.id]
