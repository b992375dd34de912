"""Plans in two stages, and what is asked again: only answers that no key finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from lib.core.request import Request
from lib.core.sources import LocalModel
from lib.errors import ServiceError
from lib.jobs.batch import Batch, State
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Jobs
from lib.jobs.plan import Plan, calls_so_far, estimate, priced_calls
from lib.jobs.resume import KnownAnswers
from lib.jobs.run_plan import plan_left, run_plan
from tests.support.asking import over
from tests.support.scripted_engine import Script, ScriptedEngine, says

TOY = LocalModel("toy")


@dataclass(frozen=True)
class DraftThenAnswer:
    """Drafts for each text; then an answer to the longest draft."""

    kind: ClassVar[str] = "draft"
    page: ClassVar[str] = "draft"
    texts: tuple[str, ...]

    def calls(self) -> tuple[Call, ...]:
        return tuple(Call(TOY, Request(each, max_tokens=2)) for each in self.texts)

    def then(self, outcome: Batch) -> tuple[Call, ...]:
        drafts = [each.completion.text for each in outcome.outcomes if each.state is State.DONE and each.completion]
        return (Call(TOY, Request(max(drafts, key=len), max_tokens=50)),) if drafts else ()

    def then_at_most(self) -> tuple[Call, ...]:
        return (Call(TOY, Request("x" * 10, max_tokens=50)),)

    def title(self) -> str:
        return self.texts[0]


PLAN = DraftThenAnswer(("a", "bb", "ccc"))


def _engines(script: Script | None = None) -> tuple[ScriptedEngine, Engines]:
    engine = ScriptedEngine(script or (lambda request: says(f"re: {request.last_user_text}")(request)))
    return engine, Engines(lambda _: engine)


def _run(engines: Engines, plan: Plan, resume: Batch | None = None, resume_of: Plan | None = None) -> Batch:
    job = Jobs().start(run_plan(engines, plan, resume=resume, resume_of=resume_of), plan)
    assert job.wait(30)
    assert job.result is not None
    return job.result


def _texts(batch: Batch) -> list[str]:
    return [each.completion.text if each.completion is not None else "" for each in batch.outcomes]


def _asked(engine: ScriptedEngine) -> list[str]:
    return sorted(each.last_user_text for each in engine.requests)


def test_the_second_stage_depends_on_the_first() -> None:
    engine, engines = _engines()
    assert _texts(_run(engines, PLAN)) == ["re: a", "re: bb", "re: ccc", "re: re: ccc"]
    assert len(engine.requests) == 4


def test_both_stages_are_priced_before_the_first() -> None:
    assert estimate(priced_calls(PLAN)).max_new_tokens == 3 * 2 + 50
    assert estimate(plan_left(PLAN, None)).max_new_tokens == 3 * 2 + 50


def test_a_finished_plan_asks_nothing_again() -> None:
    engine, engines = _engines()
    done = _run(engines, PLAN)
    engine.requests.clear()
    assert plan_left(PLAN, done) == ()
    assert _texts(_run(engines, PLAN, done)) == _texts(done)
    assert engine.requests == []


def test_what_is_missing_of_either_stage_is_asked_for() -> None:
    engine, engines = _engines()
    done = _run(engines, PLAN)
    for missing, asked in (({1}, ["bb"]), ({3}, ["re: ccc"]), ({0, 3}, ["a", "re: ccc"])):
        kept = [
            replace(each, state=State.NOT_STARTED, completion=None) if place in missing else each
            for place, each in enumerate(done.outcomes)
        ]
        engine.requests.clear()
        assert _texts(_run(engines, PLAN, Batch(tuple(kept)))) == _texts(done)
        assert _asked(engine) == asked
        assert len(plan_left(PLAN, Batch(tuple(kept)))) >= len(asked)


def test_a_first_stage_that_fails_leaves_the_second_to_what_it_has() -> None:
    def script(request: Request) -> object:
        if request.last_user_text == "ccc":
            raise ServiceError("It failed.", "Try again.")
        return says(f"re: {request.last_user_text}")(request)

    _, engines = _engines(script)  # type: ignore[arg-type]
    batch = _run(engines, PLAN)
    assert [each.state for each in batch.outcomes] == [State.DONE, State.DONE, State.FAILED, State.DONE]
    assert _texts(batch)[-1] == "re: re: bb"

    # Once it succeeds, the second stage asks for something else, and the answer before is not mistaken for it.
    engine, engines = _engines()
    again = _run(engines, PLAN, batch)
    assert _texts(again) == ["re: a", "re: bb", "re: ccc", "re: re: ccc"]
    assert _asked(engine) == ["ccc", "re: ccc"]


def test_nothing_follows_when_nothing_came() -> None:
    def script(_: Request) -> object:
        raise ServiceError("It failed.", "Try again.")

    _, engines = _engines(script)  # type: ignore[arg-type]
    batch = _run(engines, PLAN)
    assert [each.state for each in batch.outcomes] == [State.FAILED] * 3
    assert calls_so_far(PLAN, batch) == PLAN.calls()


def test_answers_of_another_plan_are_found_by_their_keys() -> None:
    """Rows of a changed file: those that stayed are not computed again, wherever they stand now."""
    engine, engines = _engines()
    done = _run(engines, PLAN)
    engine.requests.clear()
    changed = DraftThenAnswer(("ccc", "new", "a"))
    assert _texts(_run(engines, changed, done, PLAN)) == ["re: ccc", "re: new", "re: a", "re: re: ccc"]
    assert _asked(engine) == ["new"]


def test_each_known_answer_is_given_away_once() -> None:
    _, engines = _engines()
    call = Call(TOY, Request("a", n=3, temperature=1.0))
    done = over(engines, call)
    cut = Batch((replace(done.outcomes[0], state=State.FAILED), *done.outcomes[1:]))
    known = KnownAnswers((call,), cut)
    first, second = (known.take((replace(call, request=replace(call.request, n=2)),)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert [each.state for each in first.outcomes] == [State.DONE, State.DONE]
    assert [each.state for each in second.outcomes] == [State.FAILED, State.WAITING]


def test_answers_of_other_weights_are_not_mixed_with_new_ones() -> None:
    """A model that was tuned again at the same place has other weights than those that answered."""
    _, engines = _engines()
    done = _run(engines, PLAN)
    tuned = Fingerprinted("tuned", lambda request: says(f"new: {request.last_user_text}")(request))
    changed = DraftThenAnswer(("ccc", "added"))
    assert _texts(_run(Engines(lambda _: tuned), changed, done, PLAN)) == ["new: ccc", "new: added", "new: new: added"]
    same = DraftThenAnswer(("ccc", "bb"))
    assert _texts(_run(engines, same, done, PLAN))[:2] == ["re: ccc", "re: bb"]


def test_a_model_that_has_nothing_to_answer_is_not_opened() -> None:
    def refuse(_: object) -> ScriptedEngine:
        raise ServiceError("It was opened.", "Don't.")

    _, engines = _engines()
    done = _run(engines, PLAN)
    assert _texts(_run(Engines(refuse), DraftThenAnswer(("ccc", "a")), done, PLAN)) == [
        "re: ccc",
        "re: a",
        "re: re: ccc",
    ]


class Fingerprinted(ScriptedEngine):
    """A scripted engine that knows its weights."""

    def __init__(self, weights: str, script: Script) -> None:
        super().__init__(script)
        self.weights = weights
