"""Evaluations: how fast questions are answered and scored, and the report and the resumption of many."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing

from playwright.sync_api import Page, expect, sync_playwright

from lib.core.completion import Completion, StopReason
from lib.core.request import Request
from lib.core.sources import EMBEDDED, AwsTarget, BedrockModel, LocalModel
from lib.costs.ledger import Caps, Ledger
from lib.earlier_runs import complete, earlier_runs, known_answers
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.calls import AT_ONCE
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.local.engine import LocalEngine
from lib.engines.local.opening import open_local
from lib.evaluation.dataset import Question, Task
from lib.jobs.batch import State
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job, Jobs
from lib.jobs.run_plan import run_plan
from lib.models.tokenizer_files import load_tokenizer
from lib.store.database import open_database
from lib.store.job_runs import run_about
from lib.store.runs import Runs
from lib.store.writer import RunWriter
from lib.studies.evaluation import EvaluatePlan
from tests.benchmarks.client import ARN, NOBODY, answering
from tests.benchmarks.report import Figure, alternated, seconds
from tests.benchmarks.wire import prompt_of, response_of
from tests.support.browser import CHROMIUM_ARGS, chromium_path, serving, wait_for_app, wait_for_map
from tests.support.scripted_engine import ScriptedEngine, tokens_of

_RATED, _LATENCY = 1_000, 0.1
_CHOICES, _SHORT, _ALONE = 12, 500, 50
_REPORTED, _RESUMED = 10_000, 5_000
_FACT = (
    "The museum opens at nine on weekdays and at ten on Sundays. Tickets are sold at the entrance, and children under "
    "six get in free of charge. The café beside the garden serves coffee, soup and bread until five in the afternoon. "
)


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    os.environ.update(NOBODY)  # the calls must not be signed with the keys of this machine
    yield _report()
    yield _resumed()
    yield _rate()
    engine = open_local("embedded")
    yield _choices(engine)
    yield _short(engine)
    engine.close()


def _questions(count: int) -> tuple[Question, ...]:
    return tuple(Question(each, str(each), f"{each} + {each} =", (str(2 * each),)) for each in range(1, count + 1))


def _report() -> Figure:
    """From the choice of another score to the new figures on the page, in Chromium."""
    with serving("tests/e2e/apps/server.py", {}) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
        page = browser.new_page(viewport={"width": 1280, "height": 2000})
        page.goto(f"{url}/?app=evaluate_app&rows={_REPORTED}")
        wait_for_map(page)
        took = [_drawn(page, label) for label in ("Mean logprob", "Lowest logprob", "Sum of logprobs")]
        browser.close()
    return Figure(f"the report of {_REPORTED:,} rows with all intervals, computed and drawn, s", min(took), 5)


def _drawn(page: Page, score: str) -> float:
    auroc = page.get_by_test_id("stMetric").filter(has_text="AUROC")
    before = auroc.inner_text()
    page.get_by_role("combobox", name="Confidence", exact=True).click()
    option = page.get_by_role("option", name=score)
    option.wait_for()
    began = time.perf_counter()
    option.click()
    expect(auroc).not_to_have_text(before, timeout=60_000)
    wait_for_app(page)
    return time.perf_counter() - began


def _resumed() -> Figure:
    def script(request: Request) -> Completion:
        return Completion(request, "m", tokens_of("ab"), tokens_of("12", -0.1), "12", StopReason.STOP)

    engine = ScriptedEngine(script)
    plan = EvaluatePlan(LocalModel("scripted"), _questions(_RESUMED))
    with tempfile.TemporaryDirectory() as folder, closing(open_database(f"sqlite:///{folder}/answers.sqlite")) as store:
        runs = Runs(store)
        writer = RunWriter(lambda: runs)
        job: Job[object] = Jobs().start(run_plan(Engines(lambda _: engine), plan), plan)  # type: ignore[assignment]
        writer.follow(job, run_about(job, plan.page, owner="", version="0"))  # type: ignore[arg-type]
        assert job.wait(300)
        assert writer.close(120)
        asked = len(engine.requests)

        def again() -> None:
            found = known_answers(plan, earlier_runs(runs, EvaluatePlan))
            assert found is not None
            assert complete(plan, found)
            assert found.count(State.DONE) == _RESUMED

        again()
        took = seconds(again)
        assert len(engine.requests) == asked
    return Figure(f"a finished run of {_RESUMED:,} rows resumed, without a call, s", took, 2)


def _rate() -> Figure:
    _, ids, names = prompt_of(4)
    with (
        answering(response_of(ids, names, 5), _LATENCY) as url,
        closing(Account()) as account,
        tempfile.TemporaryDirectory() as folder,
        closing(open_database(f"sqlite:///{folder}/answers.sqlite")) as store,
    ):
        model = BedrockModel(ARN, endpoint=url, form="OPENAI")
        client = account.client("bedrock-runtime", AwsTarget("us-east-1", "", url))
        engine = BedrockEngine(model, load_tokenizer("embedded"), client=client, ledger=Ledger(Caps(None, None)))
        runs, engines = Runs(store), Engines(lambda _: engine)

        def seconds_for(count: int) -> float:
            plan = EvaluatePlan(model, _questions(count))
            writer = RunWriter(lambda: runs)
            began = time.perf_counter()
            job = Jobs().start(run_plan(engines, plan), plan)
            writer.follow(job, run_about(job, plan.page, owner="", version="0"))
            assert job.wait(300)
            assert job.result is not None
            assert job.result.count(State.DONE) == count
            assert writer.close(60)
            return time.perf_counter() - began

        seconds_for(AT_ONCE)  # connections, and what a tokenizer works out once
        took = seconds_for(_RATED)
    ideal = _RATED * _LATENCY / AT_ONCE
    name = f"{_RATED:,} rows at {1000 * _LATENCY:.0f} ms latency, concurrency {AT_ONCE}, store included, rate ÷ ideal"
    return Figure(name, ideal / took, 0.9, at_least=True)


def _choices(engine: LocalEngine) -> Figure:
    """Four choices after a prompt of sixty tokens: in one pass, and each full text alone."""
    choices = (" at nine", " at noon", " at ten", " never")
    prompts = [f"{_FACT}Visitor {number} asks when it opens on Sundays. It opens" for number in range(_CHOICES)]
    questions = tuple(Question(each, str(each), prompt, (choices[2],), choices) for each, prompt in enumerate(prompts))
    plan, engines = EvaluatePlan(EMBEDDED, questions, Task.CHOICE), Engines(lambda _: engine)

    def ours() -> None:
        job = Jobs().start(run_plan(engines, plan), plan)
        assert job.wait(300)
        assert job.result is not None
        assert job.result.count(State.DONE) == len(choices) * _CHOICES

    def theirs() -> None:
        for prompt in prompts:
            for choice in choices:
                engine.complete(Request(f"{prompt}{choice}", max_tokens=0, k=5))

    fast, slow = alternated(ours, theirs, 3)
    return Figure(
        "multiple choice, four choices ÷ scoring each full text alone, times as fast", slow / fast, 2.5, at_least=True
    )


def _short(engine: LocalEngine) -> Figure:
    plan, engines = EvaluatePlan(EMBEDDED, _questions(_SHORT), max_tokens=8, stop=()), Engines(lambda _: engine)

    def ours() -> None:
        job = Jobs().start(run_plan(engines, plan), plan)
        assert job.wait(500)
        assert job.result is not None
        assert job.result.count(State.DONE) == _SHORT

    def theirs() -> None:
        for call in plan.calls()[-_ALONE:]:
            engine.complete(call.request)

    theirs()
    each_alone, each_together = seconds(theirs) / _ALONE, seconds(ours) / _SHORT
    name = f"{_SHORT} short answers ÷ one at a time, times as fast"
    return Figure(name, each_alone / each_together, 4, at_least=True)
