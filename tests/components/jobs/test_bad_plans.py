"""Plans that go wrong on a page: a model that is gone, two tabs on one plan, a cap in the middle, a false promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components.shell.services import services
from lib.access.visitor import ALONE
from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.sources import LocalModel
from lib.engines.base import ALONE as ONE_USER
from lib.engines.base import CallContext
from lib.errors import CapReached, ModelUnavailable, ServiceError
from lib.jobs.batch import Batch, State
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job
from lib.store.job_runs import ended, run_about
from lib.store.run import Answer
from lib.studies.prompt_comparison import PromptsPlan
from tests.support.app_pages import page_of, press, settled
from tests.support.asking import over
from tests.support.own_store import own_store
from tests.support.scripted_engine import ScriptedEngine, ScriptedStream, says, stream_of

MODEL = LocalModel("/models/mine")
PLAN = PromptsPlan(MODEL, prompts=("First?", "Second?"), max_tokens=4)
Script = Callable[[Request], Completion]


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with own_store(tmp_path, monkeypatch):
        yield


def scripted(script: Script) -> ScriptedEngine:
    engine = ScriptedEngine(script)
    services().engines = Engines(lambda _: engine)
    return engine


def stored(*texts: str | None) -> str:
    """The id of a stored run of the plan, with these answers; None for one that failed."""
    engine = scripted(lambda request: says(texts[int("Second" in request.last_user_text)] or "")(request))
    batch = over(services().engines, *PLAN.calls())
    engine.requests.clear()
    job: Job[Batch] = Job.over_already("run-of-the-plan", PLAN, batch, None, 1.0)
    runs = services().store.runs()
    assert runs is not None
    answers = [
        Answer(each.completion) if text is not None else Answer(None, ("It failed.", "Try again."))
        for text, each in zip(texts, batch.outcomes, strict=True)
    ]
    runs.finish(ended(run_about(job, PLAN.page, owner="", version="1"), job), answers)
    return job.id


def errors(page: AppTest) -> str:
    return " ".join(each.value for each in page.error)


def test_a_run_whose_model_is_gone_opens_and_keeps_its_answers() -> None:
    run_id = stored("an apple", None)

    def gone(_: object) -> ScriptedEngine:
        raise ModelUnavailable("There is no model at /models/mine.", "Choose another.")

    services().engines = Engines(gone)
    page = page_of("prompts", run_id)
    assert "It failed" in errors(page)
    press(page, "Retry")
    settled(page, "prompts")
    assert "There is no model at" in errors(page)
    job = services().jobs.find(page.session_state["prompts.job"], ALONE)
    assert job is not None
    batch = job.latest.result
    assert isinstance(batch, Batch)
    assert [each.completion.text for each in batch.outcomes if each.completion] == ["an apple"]
    assert batch.outcomes[1].state is State.FAILED


def test_two_tabs_on_one_plan_ask_once() -> None:
    run_id = stored("an apple", None)
    engine = scripted(says("a pear"))
    first, second = page_of("prompts", run_id), page_of("prompts", run_id)
    press(first, "Retry")
    press(second, "Retry")
    settled(first, "prompts")
    settled(second, "prompts")
    assert [each.last_user_text for each in engine.requests] == ["Second?"]
    for page in (first, second):
        assert not errors(page)


def test_a_cap_in_the_middle_leaves_the_rest_for_later() -> None:
    def until_the_cap(request: Request) -> Completion:
        if "Second" in request.last_user_text:
            raise CapReached("The session's cap of 1 call is reached.", "Raise it on Connection.")
        return says("an apple")(request)

    engine = scripted(until_the_cap)
    run_id = stored(None, None)
    services().engines = Engines(lambda _: engine)
    page = page_of("prompts", run_id)
    press(page, "Retry")
    settled(page, "prompts")
    assert "cap of 1 call" in errors(page)
    engine.script = says("a pear")
    press(page, "Retry the 1 missing")
    settled(page, "prompts")
    assert not errors(page)
    assert [each.last_user_text for each in engine.requests].count("First?") == 1


class Boaster(ScriptedEngine):
    """Claims everything, and gives fewer or more answers than it was asked for."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def stream(self, request: Request, context: CallContext = ONE_USER) -> ScriptedStream:
        return stream_of([self.script(request)] * self.count)

    def score(
        self, request: Request, candidates: Sequence[str], context: CallContext = ONE_USER
    ) -> tuple[Completion, ...]:
        return (self.script(request),) * self.count


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("candidates", [(), ("a", "b")])
def test_an_engine_that_gives_too_few_or_too_many_answers(count: int, candidates: tuple[str, ...]) -> None:
    call = Call(MODEL, Request("Hello", n=1 if candidates else 2), candidates=candidates)
    batch = over(Engines(lambda _: Boaster(count)), call)
    assert len(batch.outcomes) == 2
    for place, outcome in enumerate(batch.outcomes):
        assert (outcome.state is State.DONE) is (outcome.completion is not None)
        assert outcome.state is State.DONE or place >= min(count, 2) or outcome.error is not None


def test_an_engine_that_claims_what_it_cannot_do_fails_by_itself() -> None:
    def script(request: Request) -> Completion:
        if request.n > 1:
            raise ServiceError("The service does not know n.", "Ask for one.")
        return says("fine")(request)

    batch = over(Engines(lambda _: ScriptedEngine(script)), Call(MODEL, Request("a", n=2)), Call(MODEL, Request("b")))
    assert [each.state for each in batch.outcomes] == [State.FAILED, State.FAILED, State.DONE]
