"""Daemon threads: each work runs at once, threads are used again, and end when there is nothing to do."""

from __future__ import annotations

import threading
import time

from lib.engines.remote.threads import DaemonThreads

_WAIT = 10.0


def _alive(name: str) -> int:
    return sum(each.name == name for each in threading.enumerate())


def test_work_that_waits_does_not_hold_up_other_work() -> None:
    threads, barrier = DaemonThreads("together"), threading.Barrier(9)
    for _ in range(8):
        threads.run(lambda: barrier.wait(_WAIT) and None)
    barrier.wait(_WAIT)
    assert _alive("together") == 8


def test_threads_are_used_again_and_end_when_idle() -> None:
    threads, used = DaemonThreads("again", idle=0.05), set()
    for _ in range(20):
        done = threading.Event()
        threads.run(lambda done=done: used.add(threading.get_ident()) or done.set())  # type: ignore[misc]
        assert done.wait(_WAIT)
        time.sleep(0.002)
    assert len(used) < 20
    deadline = time.monotonic() + _WAIT
    while _alive("again"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    done = threading.Event()
    threads.run(done.set)
    assert done.wait(_WAIT)
