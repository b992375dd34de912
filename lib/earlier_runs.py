"""The runs that a command keeps in its folder: what a plan needs of their answers, and which of them can go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.call import Call
from lib.jobs.plan import Plan, TwoStagePlan, calls_so_far
from lib.jobs.resume import KnownAnswers
from lib.jobs.run_plan import calls_left
from lib.store.job_runs import restored
from lib.store.queries import Filter, listed
from lib.store.run import Run
from lib.store.runs import Runs

P = TypeVar("P", bound=Plan)


@dataclass(frozen=True)
class EarlierRun(Generic[P]):
    """A run in the folder."""

    id: str
    plan: P
    batch: Batch


def earlier_runs(runs: Runs, kind: type[P]) -> list[EarlierRun[P]]:
    """The runs of one kind of plan, the last one first: finished, or cut off by a kill."""
    found = []
    for run in _listed(runs, kind.page):
        if (opened := runs.open(run.id)) is not None:
            came = restored(*opened)
            if isinstance(came["plan"], kind) and came["result"] is not None:
                found.append(EarlierRun(run.id, came["plan"], came["result"]))
    return found


def _listed(runs: Runs, page: str) -> Iterator[Run]:
    start: int | None = 0
    while start is not None:
        found = listed(runs.database, Filter(page=page), start=start)
        yield from found.runs
        start = found.following


def known_answers(plan: P, earlier: Sequence[EarlierRun[P]]) -> Batch | None:
    """The outcomes of a plan's calls as far as any run has them, the last run first; None if none has any.

    Of a plan of two stages, the further calls are those that follow from what is known of the first ones.
    """
    pools = [KnownAnswers(calls_so_far(each.plan, each.batch), each.batch) for each in earlier]
    first = _taken(pools, plan.calls())
    if first is None or not isinstance(plan, TwoStagePlan):
        return first
    further = plan.then(first)
    second = _taken(pools, further) or Batch((Outcome(),) * sum(each.answers for each in further))
    return Batch((*first.outcomes, *second.outcomes))


def _taken(pools: Sequence[KnownAnswers], calls: Sequence[Call]) -> Batch | None:
    """The best known outcome of each answer; None if there are no earlier answers at all."""
    batches = [each for each in (pool.take(calls) for pool in pools) if each is not None]
    if not batches:
        return None
    return Batch(tuple(_best(each) for each in zip(*(batch.outcomes for batch in batches), strict=True)))


def _best(outcomes: Sequence[Outcome]) -> Outcome:
    return next((each for each in outcomes if each.state is State.DONE), outcomes[0])


def complete(plan: Plan, known: Batch | None) -> bool:
    """Whether everything that the plan asks is known, by what `known_answers` returned."""
    return known is not None and not calls_left(calls_so_far(plan, known), known)


def superseded(earlier: Sequence[EarlierRun[P]], plan: P, batch: Batch) -> list[str]:
    """The ids of runs all of whose answers are in the outcome of a plan; what else was paid for stays."""
    calls = calls_so_far(plan, batch)
    found = []
    for each in earlier:
        taken = KnownAnswers(calls, batch).take(calls_so_far(each.plan, each.batch))
        there = () if taken is None else taken.outcomes
        if all(
            own.state is not State.DONE or (place < len(there) and there[place].state is State.DONE)
            for place, own in enumerate(each.batch.outcomes)
        ):
            found.append(each.id)
    return found
