"""An evaluation against a service that throttles, drops connections, fails and restarts: each row once, none twice."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lib.core.request import Request
from lib.core.sources import BedrockModel
from lib.costs.ledger import Caps, Ledger
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.local.engine import LocalEngine
from lib.engines.remote.retry import RetryPolicy
from lib.evaluation.dataset import Question
from lib.jobs.batch import Batch, State
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job, Jobs
from lib.jobs.run_plan import run_plan
from lib.jobs.runner import AT_ONCE
from lib.models.tokenizer_files import from_built
from lib.serve.faults import Fault
from lib.serve.server import bound, server_for
from lib.store.database import open_database
from lib.store.job_runs import restored, run_about
from lib.store.run import Answer, Run
from lib.store.runs import Runs
from lib.store.writer import RunWriter
from lib.studies.evaluation import EvaluatePlan
from lib.studies.evaluation_rows import answered
from tests.support.serve_clients import Recorded, Served, service_of, until

_TRIES = 5  # how often what is missing is asked for again


class Restarted:
    """A service in a thread that can be stopped and started again at the same address."""

    def __init__(self, service: Recorded) -> None:
        self.service, self.port = service, 0
        self._stack = contextlib.ExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._stack.enter_context(self._running())

    def stop(self) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        with closing(bound("127.0.0.1", self.port)) as listener:
            self.port = listener.getsockname()[1]
            server = server_for(self.service)  # type: ignore[arg-type]
            thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
            thread.start()
            assert until(lambda: server.started)
            try:
                yield
            finally:
                server.should_exit = True
                thread.join()


@pytest.mark.parametrize("rows", [240, pytest.param(5_000, marks=pytest.mark.soak)])
def test_each_row_once(rows: int, tmp_path: Path, tiny_directory: Path, tiny_engine: LocalEngine) -> None:
    served = Restarted(Recorded(service_of(tiny_directory, tiny_engine)))
    served.start()
    service = served.service.service
    service.faults.set(
        [
            Fault("throttle", rate=150),
            Fault("cut", where="reset", after=40, times=rows // 40),
            Fault("error", code="InternalServerException", times=rows // 40),
        ]
    )
    arn = next(each.arn for each in service.models if each.name == "current")
    questions = tuple(Question(number, str(number), f"row {number} is", ("x",)) for number in range(rows))
    source = BedrockModel(arn, endpoint=served.url, form="OPENAI")
    plan = EvaluatePlan(source, questions, max_tokens=2, stop=())

    def asked() -> list[str]:
        return [each["prompt"] for each in served.service.bodies]

    with (
        closing(Served(service, served.url)) as clients,
        closing(open_database(f"sqlite:///{tmp_path / 'runs.sqlite'}")) as database,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(served.stop)
        engine = BedrockEngine(
            source,
            from_built(tiny_engine.loaded.tokenizer.built, "tiny"),
            client=clients.client(pool=AT_ONCE),
            ledger=Ledger(Caps(None, None)),
            retry_policy=RetryPolicy(transient_attempts=2),
        )
        runs = Runs(database)
        known: Batch | None = None
        for attempt in range(_TRIES):
            before = len(asked())
            job: Job[Batch] = Jobs().start(run_plan(Engines(lambda _: engine), plan, resume=known), plan)
            writer = RunWriter(lambda: runs)
            writer.follow(job, run_about(job, plan.page, owner="", version="0"))
            if attempt == 0:
                assert until(lambda: len(asked()) > rows // 3, 60)
                served.stop()
                served.start()
            assert job.wait(300)
            assert job.result is not None
            assert writer.close(60)
            if known is not None:  # only what was missing is asked for
                left = {
                    questions[place].prompt for place, each in enumerate(known.outcomes) if each.state is not State.DONE
                }
                assert set(asked()[before:]) <= left
            known = restored(*_opened(runs, job.id))["result"]
            assert known == job.result or known.count(State.DONE) == job.result.count(State.DONE)
            if not known.missing:
                break
        assert known is not None
        assert known.count(State.DONE) == rows
        for question, outcome in zip(questions, known.outcomes, strict=True):
            assert outcome.completion is not None
            request = outcome.completion.request
            assert isinstance(request, Request)
            assert request.prompt == question.prompt
        assert len(answered(plan, known)) == rows
        # Each row was sent once, and again only where the service failed or dropped it.
        sent = Counter(asked())
        assert set(sent) == {each.prompt for each in questions}
        assert sum(sent.values()) > rows, "no fault struck"


def _opened(runs: Runs, run_id: str) -> tuple[Run, tuple[Answer, ...]]:
    found = runs.open(run_id)
    assert found is not None
    return found
