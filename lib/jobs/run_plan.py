"""Runs plans: takes engines from the pool, follows their streams, and does only what an earlier outcome lacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, repeat
from typing import TypeVar

from lib.core.branching import Fork, merge_into_parent
from lib.core.completion import Completion, StopReason
from lib.core.sources import Source
from lib.core.stream import Fold
from lib.engines.base import CallContext, Engine, Stream, Wakes, continuation_obstacle, is_busy, score_under, weights_of
from lib.errors import Cancelled, CandorError, InvalidRequest
from lib.jobs.batch import Batch, Outcome, State, batch_of
from lib.jobs.call import Call, answer_alone
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job
from lib.jobs.plan import Plan, TwoStagePlan, calls_so_far
from lib.jobs.resume import KnownAnswers, of_the_same_weights
from lib.jobs.runner import Answers, Task, Unit, run_units

T = TypeVar("T")
Work = Callable[[Job[Batch]], Batch]

_ATTEMPTS = 3  # with engines that are unloaded before they take the request
_INTERVAL = 0.04  # seconds between partial completions, each of which takes time to assemble


def run_plan(
    engines: Engines, plan: Plan, *, owner: str = "", resume: Batch | None = None, resume_of: Plan | None = None
) -> Work:
    """The work of a job that makes a plan's calls, and then the further ones of a `TwoStagePlan`.

    resume: the outcome of the plan so far. Only answers that it lacks are asked for.
    resume_of: the plan that this is the outcome of, if it is another one. Its answers are found by the keys of their
    calls, wherever they are needed now, unless the model behind its name has other weights by now.
    """
    known = _known(plan if resume_of is None else resume_of, resume)

    def taken(calls: Sequence[Call]) -> Batch | None:
        found = known.take(calls)
        if found is None or resume_of is None:
            return found
        return of_the_same_weights(calls, found, partial(_weights_now, engines))

    def work(job: Job[Batch]) -> Batch:
        calls = plan.calls()
        first = run_calls(engines, calls, owner=owner, resume=taken(calls))(job)
        if not isinstance(plan, TwoStagePlan) or job.cancelled or first.cap is not None:
            return first
        if not (further := plan.then(first)):
            return first
        both = run_calls(engines, further, owner=owner, resume=taken(further), before=first.outcomes)(job)
        return replace(both, seconds=first.seconds + both.seconds)

    return work


def _weights_now(engines: Engines, source: Source) -> str | None:
    try:
        return weights_of(engines.get(source))
    except CandorError:  # each of its calls will fail for this reason
        return None


def _known(plan: Plan, batch: Batch | None) -> KnownAnswers:
    return KnownAnswers() if batch is None else KnownAnswers(calls_so_far(plan, batch), batch)


def plan_left(plan: Plan, so_far: Batch | None, so_far_of: Plan | None = None) -> tuple[Call, ...]:
    """The calls for the answers that a batch of this plan lacks, each as small as possible.

    Further calls that are not known yet are counted as their maximum.
    so_far_of: the plan that the batch is the outcome of, if it is another one.
    """
    if so_far_of is not None:
        return _left_of_another(plan, _known(so_far_of, so_far))
    if not isinstance(plan, TwoStagePlan):
        return calls_left(plan.calls(), so_far)
    first = calls_left(plan.calls(), so_far)
    if first or so_far is None:
        return (*first, *plan.then_at_most())
    return calls_left(calls_so_far(plan, so_far), so_far)


def _left_of_another(plan: Plan, known: KnownAnswers) -> tuple[Call, ...]:
    calls = plan.calls()
    found = known.take(calls) or Batch()
    first = calls_left(calls, found)
    if not isinstance(plan, TwoStagePlan):
        return first
    if first:
        return (*first, *plan.then_at_most())
    further = plan.then(found)
    return calls_left(further, known.take(further))


def run_calls(
    engines: Engines,
    calls: Sequence[Call],
    *,
    owner: str = "",
    resume: Batch | None = None,
    before: Sequence[Outcome] = (),
) -> Work:
    """The work of a job that makes all calls concurrently; one that fails does not affect the others.

    A local model samples the answers of a call in one batch and scores its candidates in one pass. A candidate that
    follows several prompts is scored in as few passes as possible. A service gets one request for each answer.

    resume: the outcome of the same calls so far. Only answers that it lacks are asked for.
    before: outcomes of other calls, which the batch begins with.
    """
    outcomes, first = _resumed(calls, resume), len(before)
    missing = {place for place, each in enumerate(outcomes) if each.state is State.WAITING}
    live = first + len(outcomes) == 1

    def unit(part: _Part) -> Unit:
        places = tuple(first + place for place in part.places)
        return Unit(places, lambda task: _answers(engines, part, owner, task, live=live))

    return run_units([unit(part) for part in _parts(calls, missing)], [*before, *outcomes])


def calls_left(calls: Sequence[Call], so_far: Batch | None) -> tuple[Call, ...]:
    """The calls for the answers that a batch of these calls lacks, each as small as possible."""
    found: list[Call] = []
    outcomes = iter(_resumed(calls, so_far))
    for call in calls:
        left = [number for number, each in enumerate(islice(outcomes, call.answers)) if each.state is State.WAITING]
        if left:
            found.append(_only(call, left))
    return tuple(found)


def wake(engines: Engines, source: Source) -> Work:
    """The work of a job that warms up a service's model, which is billed like any other call."""

    def work(job: Job[Batch]) -> Batch:
        engine = engines.get(source)
        if not isinstance(engine, Wakes):
            raise InvalidRequest(f"{engine.name} needs no warm-up.", "Ask it right away.")
        job.publish(note="Warming up the model")
        task = Task(lambda: job.publish(note=task.note))
        with closing(engine.warm_up(_context("", task))) as stream:
            task.on_cancel(stream.close)
            job.on_cancel(task.cancel)
            return batch_of(done for done in _follow(stream, 1, task) if done is not None)

    return work


@dataclass(frozen=True)
class _Part:
    """Calls whose answers come together. More than one only if they score the same single candidate."""

    calls: tuple[Call, ...]
    places: tuple[int, ...]  # of their answers in the batch


def _resumed(calls: Sequence[Call], so_far: Batch | None) -> list[Outcome]:
    """One outcome per answer: those that are done, and the others waiting, with what an earlier try left of them."""
    earlier = () if so_far is None else so_far.outcomes
    padded = islice(chain(earlier, repeat(Outcome())), sum(each.answers for each in calls))
    return [each if each.state is State.DONE else Outcome(completion=each.completion) for each in padded]


def _parts(calls: Sequence[Call], missing: set[int]) -> list[_Part]:
    """Group the missing answers into what is asked at once."""
    found: list[_Part] = []
    first = 0
    for each in calls:
        places = tuple(range(first, first + each.answers))
        first += each.answers
        left = [place for place in places if place in missing]
        if not left:
            continue
        if each.source.billed or (len(left) < len(places) and each.request.seed is not None):
            found += [_Part((answer_alone(each, place - places[0]),), (place,)) for place in left]
        elif _scores_the_same(found[-1].calls[-1] if found else None, each):
            found[-1] = _Part((*found[-1].calls, each), (*found[-1].places, *left))
        else:
            found.append(_Part((_only(each, [place - places[0] for place in left]),), tuple(left)))
    return found


def _scores_the_same(before: Call | None, call: Call) -> bool:
    """Whether both calls score the same single candidate under the same model."""
    alike = before is not None and (before.source, before.candidates) == (call.source, call.candidates)
    return alike and len(call.candidates) == 1


def _only(call: Call, numbers: Sequence[int]) -> Call:
    """The call for some of its answers. Without a seed, samples are interchangeable."""
    if call.candidates:
        return replace(call, candidates=tuple(call.candidates[number] for number in numbers))
    return replace(call, request=replace(call.request, n=len(numbers)))


def _answers(engines: Engines, part: _Part, owner: str, task: Task, *, live: bool) -> Answers:
    call, context = part.calls[0], _context(owner, task, live=live)
    if len(part.calls) > 1:
        requests = [each.request for each in part.calls]

        return _with_engine(
            engines, call.source, task, lambda engine: score_under(engine, requests, call.candidates[0], context)
        )
    if call.candidates:
        return _with_engine(
            engines, call.source, task, lambda engine: engine.score(call.request, call.candidates, context)
        )

    def open_stream(engine: Engine) -> Stream:
        if reason := continuation_obstacle(engine, call.request):
            raise InvalidRequest(reason)
        return engine.stream(call.request, context)

    with closing(_with_engine(engines, call.source, task, open_stream)) as stream:
        task.on_stop(stream.stop)
        task.on_cancel(stream.close)
        return _follow(stream, call.request.n, task, call.fork)


def _context(owner: str, task: Task, *, live: bool = True) -> CallContext:
    return CallContext(owner, live, lambda note: task.publish(note=note))


def _with_engine(engines: Engines, source: Source, task: Task, use: Callable[[Engine], T]) -> T:
    """Call `use` with the engine of a source, which is loaded if necessary."""
    left = _ATTEMPTS
    while True:
        if not engines.ready(source):
            task.publish(note="Loading the model")
        engine = engines.get(source)
        task.publish(note="Waiting for the model" if is_busy(engine) else "Reading the prompt")
        left -= 1
        try:
            return use(engine)
        except Cancelled:
            # The engine was unloaded just before the request; the next attempt loads a new one.
            if not left:
                raise


def _follow(stream: Stream, samples: int, task: Task, fork: Fork | None = None) -> Answers:
    """Read a stream to its end and publish partial completions; if it breaks off, those are kept.

    fork: of a branch, whose kept tokens then have the scores they had in the parent answer.
    """
    collected, due = Fold(), 0.0

    def so_far() -> list[Completion | None]:
        found: list[Completion | None] = [None] * samples
        for number, done in collected.by_sample().items():
            if number >= samples:  # more than was asked for
                continue
            found[number] = done if fork is None else merge_into_parent(done, fork)
        return found

    try:
        for delta in stream:
            collected.add(delta)
            if delta.start is None and time.monotonic() >= due:  # a prompt without an answer is not published
                task.publish(so_far(), note="Generating")
                due = time.monotonic() + _INTERVAL
    except Cancelled:
        if not any(done is not None and len(done.generated) for done in so_far()):
            raise
        reason = StopReason.CANCELLED if task.cancelled else StopReason.INCOMPLETE  # incomplete: it was unloaded
        return [_ended(each, reason) for each in so_far()]
    except CandorError:
        if any(so_far()):
            task.publish(so_far())
        raise
    return [_ended(each, StopReason.CANCELLED) for each in so_far()] if task.cancelled else so_far()


def _ended(done: Completion | None, reason: StopReason) -> Completion | None:
    """The completion with the reason why it broke off, unless it had ended before."""
    if done is None or done.stop_reason != StopReason.INCOMPLETE:
        return done
    return replace(done, stop_reason=reason)
