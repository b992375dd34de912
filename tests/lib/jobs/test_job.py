from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from lib.access.visitor import ALONE
from lib.core.request import Request
from lib.core.sources import EMBEDDED
from lib.errors import Busy, Cancelled, CandorError, InvalidRequest
from lib.jobs import job as job_module
from lib.jobs.call import Call
from lib.jobs.job import Job, Jobs
from lib.studies.exploration import ExplorePlan

PLAN = ExplorePlan(Call(EMBEDDED, Request("What was asked")))

SOON = 5.0  # seconds; only a failing test waits this long


def finished(work: Callable[[Job], object]) -> Job:
    job = Jobs().start(work)
    assert job.wait(SOON)
    return job


def raising(error: BaseException) -> Callable[[Job], object]:
    def work(job: Job) -> object:
        raise error

    return work


def test_a_job_keeps_its_result() -> None:
    job = finished(lambda _: 42)
    assert (job.over, job.result, job.error, job.cancelled, job.seen) == (True, 42, None, False, False)


def test_a_job_keeps_its_error() -> None:
    error = InvalidRequest("No.", "Ask otherwise.")
    job = finished(raising(error))
    assert (job.result, job.error) == (None, error)


def test_an_unexpected_error_is_logged_and_has_a_remedy(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, job_module.__name__):
        job = finished(raising(ZeroDivisionError("secret detail")))
    assert type(job.error) is CandorError
    assert "secret detail" not in str(job.error)
    assert job.id[:6] in job.error.remedy
    assert job.id[:6] in caplog.text
    assert "secret detail" in caplog.text
    assert job.id not in caplog.text  # anyone who knows the id may see the job


def test_looking_a_job_up_does_not_run_it_again() -> None:
    runs: list[str] = []
    everything = Jobs()
    job = everything.start(lambda _: runs.append(_.id))
    for _ in range(5):
        assert everything.find(job.id, ALONE) is job
    assert job.wait(SOON)
    assert everything.find(job.id, ALONE) is job
    assert runs == [job.id]


def test_only_its_id_finds_a_job() -> None:
    everything = Jobs()
    one, other = everything.start(lambda _: 1), everything.start(lambda _: 2)
    assert one.id != other.id
    assert len(one.id) >= 22  # 128 bits in base 64
    assert everything.find(None, ALONE) is everything.find("", ALONE) is everything.find(one.id[:-1], ALONE) is None
    assert Jobs().find(one.id, ALONE) is None


def test_progress_is_published_and_time_is_counted() -> None:
    started, go_on = threading.Event(), threading.Event()

    def work(job: Job) -> str:
        job.publish("half", note="Writing")
        job.publish(note="Still writing")
        started.set()
        go_on.wait(SOON)
        return "whole"

    job = Jobs().start(work, plan=PLAN)
    assert started.wait(SOON)
    assert (job.over, job.partial, job.note, job.version, job.plan) == (
        False,
        "half",
        "Still writing",
        2,
        PLAN,
    )
    assert not job.wait(0)
    earlier = job.seconds
    go_on.set()
    assert job.wait(SOON)
    assert (job.result, job.partial) == ("whole", "half")
    assert job.seconds == job.seconds >= earlier


def test_cancelling_interrupts_waiting() -> None:
    waiting = threading.Event()

    def work(job: Job) -> None:
        interrupted = threading.Event()
        job.publish("so far")
        job.on_cancel(interrupted.set)
        waiting.set()
        assert interrupted.wait(SOON)
        raise Cancelled("Cancelled.")

    job = Jobs().start(work)
    assert waiting.wait(SOON)
    job.cancel()
    assert job.wait(SOON)
    assert (job.cancelled, job.error, job.result, job.partial) == (True, None, None, "so far")


def test_an_interrupt_set_after_the_cancel_is_called_at_once() -> None:
    calls: list[int] = []
    job = Job(lambda _: None)
    job.cancel()
    job.on_cancel(lambda: calls.append(1))
    assert calls == [1]


def test_every_interrupt_is_called_once() -> None:
    calls: list[str] = []
    job = Job(lambda _: None)
    job.on_cancel(lambda: calls.append("a"))
    job.on_cancel(lambda: calls.append("b"))
    assert calls == []
    job.cancel()
    job.cancel()
    job.on_cancel(lambda: calls.append("c"))
    assert calls == ["a", "b", "c"]


def test_a_cancelled_job_may_still_return_a_partial_result() -> None:
    def work(job: Job) -> str:
        job.cancel()
        return "partly"

    job = finished(work)
    assert (job.cancelled, job.result, job.error) == (True, "partly", None)


def test_a_cancellation_from_elsewhere_is_an_error() -> None:
    error = Cancelled("The model was unloaded.", "Ask again.")
    assert finished(raising(error)).error is error


def test_too_many_running_jobs_are_refused_and_finished_ones_do_not_count() -> None:
    everything, go_on = Jobs(max_running=2), threading.Event()
    running = [everything.start(lambda _: go_on.wait(SOON)) for _ in range(2)]
    with pytest.raises(Busy):
        everything.start(lambda _: None)
    go_on.set()
    assert all(job.wait(SOON) for job in running)
    assert everything.start(lambda _: 1).wait(SOON)


def test_unseen_results_are_kept_longer_than_seen_ones() -> None:
    everything = Jobs(keep_seen=2, keep_unseen=4)

    def run(number: int, *, seen: bool) -> Job:
        job = everything.start(lambda _: number)
        assert job.wait(SOON)
        job.seen = seen
        return job

    seen = [run(number, seen=True) for number in range(4)]
    unseen = [run(number, seen=False) for number in range(6)]
    run(99, seen=True)

    def kept(those: list[Job]) -> list[bool]:
        return [everything.find(job.id, ALONE) is job for job in those]

    assert kept(seen) == [False, False, True, True]
    assert kept(unseen) == [False, False, True, True, True, True]


def test_a_running_job_is_never_dropped() -> None:
    everything, go_on = Jobs(keep_seen=0, keep_unseen=0), threading.Event()
    job = everything.start(lambda _: go_on.wait(SOON))
    job.seen = True
    assert everything.start(lambda _: 1).wait(SOON)
    assert everything.start(lambda _: 2).wait(SOON)
    assert everything.find(job.id, ALONE) is job
    go_on.set()
    assert job.wait(SOON)


def test_concurrent_callers_continue_a_job_only_once() -> None:
    """As two tabs may ask, or a page that was closed before it received the id of its job."""
    everything, calls = Jobs(), []
    first = everything.start(lambda _: 1, plan=PLAN)
    assert first.wait(SOON)
    found: list[Job] = []
    threads = [
        threading.Thread(target=lambda: found.append(everything.go_on(first, lambda _: calls.append(1))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0].wait(SOON)
    assert len({job.id for job in found}) == 1
    assert calls == [1]
    assert found[0].plan == PLAN
    assert everything.find(first.id, ALONE) is found[0], "the old id finds the job that continues it"
    last = everything.go_on(found[0], lambda _: 3)
    assert everything.find(first.id, ALONE) is last


def test_waiting_for_news() -> None:
    go_on = threading.Event()

    def work(job: Job) -> str:
        job.publish("a")
        assert go_on.wait(SOON)
        job.publish("ab")
        return "abc"

    job = Jobs().start(work)
    assert job.wait_for_news(0, SOON) == 1
    assert job.partial == "a"
    assert job.wait_for_news(1, 0.05) == 1  # no news in that time
    watching = [threading.Thread(target=job.wait_for_news, args=(1, SOON)) for _ in range(3)]
    for each in watching:
        each.start()
    go_on.set()
    for each in watching:  # all waiting threads wake up
        each.join(SOON)
        assert not each.is_alive()
    assert job.wait(SOON)
    assert job.wait_for_news(2, SOON) == 2  # there will be no more news
    assert job.partial == "ab"
