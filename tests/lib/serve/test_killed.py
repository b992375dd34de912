"""kill -9 while a plan runs: no answer that reached the disk is asked for again, and none is missing in the end.

A call in flight at that moment, or whose answer has arrived and is not written yet, cannot be known to have been
answered. It alone is asked again.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from lib.engines.local.engine import LocalEngine
from lib.serve.faults import Fault
from lib.serve.server import in_thread
from lib.store.database import open_database
from lib.store.job_runs import restored
from lib.store.runs import Runs
from lib.studies.plans import PLANS
from tests.support.killed_plan import PROMPTS, work
from tests.support.many_prompts import ManyPrompts
from tests.support.processes import started
from tests.support.serve_clients import Recorded, service_of

_LATENCY = 0.2  # seconds of each call, of which 16 are in flight
_LONGEST = 0.8  # seconds until a kill


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.soak)])
def test_killed_at_random_moments(
    kills: int, tmp_path: Path, tiny_directory: Path, tiny_engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLANS, ManyPrompts.kind, ManyPrompts)
    chance = random.Random(kills)
    database = f"sqlite:///{tmp_path}/runs.sqlite"
    service = Recorded(service_of(tiny_directory, tiny_engine))
    service.service.faults.set([Fault("latency", seconds=_LATENCY)])
    arn = next(each.arn for each in service.service.models if each.name == "current")
    store = Runs(open_database(database))

    with in_thread(service) as url:  # type: ignore[arg-type]

        def session(run: str, seconds: float) -> int | None:
            """Work on the plan, kill it after that time; returns its exit code, None if it was killed."""
            on_disk, before = _answered(store, run), len(service.bodies)
            process = started(work, database, run, arn, url)
            process.join(seconds)
            if (ended := process.exitcode) is None:
                process.kill()
                process.join()
                time.sleep(2 * _LATENCY)  # until the service has received all that was sent
            asked = [each["prompt"] for each in service.bodies[before:]]
            assert len(set(asked)) == len(asked), "a session asks for each answer once"
            assert not on_disk.intersection(asked), "an answer that is on disk is not asked for again"
            assert on_disk <= _answered(store, run), "and none is lost"
            return ended

        killed, plans = 0, 0
        while killed < kills:
            run = f"killed-plan-{plans}"
            while killed < kills and session(run, chance.uniform(0.05, _LONGEST)) is None:
                killed += 1
            assert session(run, 60) == 0
            assert _answered(store, run) == set(PROMPTS)
            plans += 1
    store.database.close()


def _answered(store: Runs, run: str) -> set[str]:
    """The prompts whose answers are complete in the store."""
    saved: Any = store.open(run)
    if saved is None:
        return set()
    batch = restored(*saved)["result"]
    return {prompt for prompt, each in zip(PROMPTS, batch.outcomes, strict=True) if each.state == "done"}
