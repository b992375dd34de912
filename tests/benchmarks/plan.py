"""A plan of many calls: what it costs beside the calls themselves, and opening it again."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from lib.core.completion import Completion, StopReason
from lib.core.request import Request
from lib.core.sources import AwsTarget, BedrockModel
from lib.costs.ledger import Caps, Ledger
from lib.display.export import to_json
from lib.display.token_map_view import TokenMapView
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.calls import AT_ONCE
from lib.engines.bedrock.engine import BedrockEngine
from lib.jobs.batch import State, batch_of
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job, Jobs
from lib.jobs.run_plan import run_plan
from lib.models.tokenizer_files import load_tokenizer
from lib.scores.token_scores import summarise_answer
from lib.store.database import open_database
from lib.store.job_runs import restored, run_about
from lib.store.run import Answer
from lib.store.runs import Runs
from lib.store.writer import RunWriter
from tests.benchmarks.client import ARN, NOBODY, answering
from tests.benchmarks.completions import long_completion
from tests.benchmarks.report import Figure, seconds
from tests.benchmarks.wire import prompt_of, response_of
from tests.support.many_prompts import ManyPrompts, register

_CALLS, _TOKENS = 1_000, 50_000
_ROUNDS = 5


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    os.environ.update(NOBODY)  # the calls must not be signed with the keys of this machine
    register()
    yield _own_cost()
    yield _opened()


def _own_cost() -> Figure:
    """In turns: the plan with its keys, its batch and its run in SQLite; and a pool of threads that dumps JSON.

    Both ask the same engine, whose service answers at once.
    """
    request, ids, names = prompt_of(4)
    prompts = tuple(f"{request.prompt} {number}" for number in range(_CALLS))
    with (
        answering(response_of(ids, names, 5)) as url,
        closing(Account()) as account,
        tempfile.TemporaryDirectory() as folder,
    ):
        model = BedrockModel(ARN, endpoint=url, form="OPENAI")
        client = account.client("bedrock-runtime", AwsTarget("us-east-1", "", url))
        engine = BedrockEngine(model, load_tokenizer("embedded"), client=client, ledger=Ledger(Caps(None, None)))
        engines = Engines(lambda _: engine)
        database = open_database(f"sqlite:///{folder}/runs.sqlite")

        def ours() -> None:
            plan = ManyPrompts(model, prompts, max_tokens=4, k=5)
            assert len({each.key for each in plan.calls()}) == _CALLS
            writer = RunWriter(lambda: Runs(database))
            job = Jobs().start(run_plan(engines, plan), plan)
            writer.follow(job, run_about(job, plan.page, owner="", version="0"))
            assert job.wait(120)
            assert job.result is not None
            assert job.result.count(State.DONE) == _CALLS, next(
                each.error for each in job.result.outcomes if each.error
            )
            assert writer.close(60)

        def ask(prompt: str) -> str:
            (done,) = engine.complete(Request(prompt, max_tokens=4, k=5))
            return to_json(done)

        def theirs() -> None:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                found = list(pool.map(ask, prompts))
            Path(folder, "answers.json").write_text(json.dumps(found), encoding="utf-8")

        ours(), theirs()
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(_ROUNDS)]
        database.close()
    ratio = statistics.median(first / second for first, second in pairs)
    return Figure(f"a plan of {_CALLS:,} calls, kept ÷ the same calls by concurrent.futures and json", ratio, 2)


def _opened() -> Figure:
    """From the run's id to its plan, all answers, their scores and the map of the first."""
    long = long_completion(_TOKENS)
    each = _TOKENS // _CALLS
    parts = [long.generated[first : first + each] for first in range(0, _TOKENS, each)]
    done = [Completion(None, "m", long.prompt[:0], part, "x" * each, StopReason.STOP) for part in parts]
    plan = ManyPrompts(BedrockModel(ARN), tuple(f"Prompt {number}" for number in range(_CALLS)))
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(open_database(f"sqlite:///{folder}/runs.sqlite"))
        job: Job[Any] = Job.over_already("many-calls", plan, batch_of(done), None, 1.0)
        runs.finish(run_about(job, plan.page, owner="", version="0"), [Answer(each) for each in done])

        def opened() -> None:
            found = runs.open(job.id)
            assert found is not None
            came = restored(*found)
            assert came["plan"] == plan
            completions = came["result"].completions
            assert sum(summarise_answer(each).scored for each in completions) == _TOKENS
            assert TokenMapView(completions[0]).packed()

        opened()
        times = [seconds(opened) for _ in range(_ROUNDS)]
        runs.database.close()
    name = f"a stored plan of {_CALLS:,} calls and {_TOKENS:,} tokens opened, to its first map, ms"
    return Figure(name, 1000 * statistics.median(times), 300)
