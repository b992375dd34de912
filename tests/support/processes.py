"""Processes that a test kills, forked from one that has their imports behind it."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from types import ModuleType
from unittest import mock

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.support.store_writers", "tests.support.killed_plan"])


def started(work: Callable[..., None], *arguments: object) -> BaseProcess:
    """A process at work. It shall not import this one's main program, which may be anything by now."""
    process = FORKS.Process(target=work, args=arguments, daemon=True)
    with mock.patch.dict(sys.modules, {"__main__": ModuleType("__main__")}):
        process.start()
    return process
