"""Calls as the pages make them, for tests."""

from __future__ import annotations

from lib.core.completion import Completion
from lib.errors import CandorError
from lib.jobs.batch import Batch
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job, Jobs
from lib.jobs.run_plan import run_calls
from lib.studies.exploration import ExplorePlan


def job_for(engines: Engines, call: Call, *, owner: str = "") -> Job[Batch]:
    """A job of one call, as Explore makes it, that is still to be run."""
    return Job(run_calls(engines, (call,), owner=owner), ExplorePlan(call))


def start(engines: Engines, *calls: Call, owner: str = "") -> Job[Batch]:
    """Start a job of these calls."""
    return Jobs().start(run_calls(engines, calls, owner=owner), ExplorePlan(calls[0]))


def over(engines: Engines, *calls: Call, resume: Batch | None = None) -> Batch:
    """The outcome of calls."""
    job = Jobs().start(run_calls(engines, calls, resume=resume))
    assert job.wait(30)
    assert job.result is not None
    assert len(job.result.outcomes) == sum(each.answers for each in calls)
    return job.result


def answer(batch: Batch | None) -> Completion | None:
    """The completion so far of a batch of one answer; None without one."""
    return None if batch is None else batch.outcomes[0].completion


def error(batch: Batch | None) -> CandorError | None:
    """The error of a batch of one answer; None without one."""
    return None if batch is None else batch.outcomes[0].error
