"""The answers that `candor evaluate` keeps in its folder: what a plan needs of them, and which can go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.resume import KnownAnswers
from lib.jobs.run_plan import calls_left
from lib.store.job_runs import restored
from lib.store.queries import Filter, listed
from lib.store.run import Run
from lib.store.runs import Runs
from lib.studies.evaluation import EvaluatePlan


@dataclass(frozen=True)
class Earlier:
    """A run in the folder."""

    id: str
    plan: EvaluatePlan
    batch: Batch


def earlier_runs(runs: Runs) -> list[Earlier]:
    """The runs in the folder, the last one first: finished, or cut off by a kill."""
    found = []
    for run in _listed(runs):
        if (opened := runs.open(run.id)) is not None:
            came = restored(*opened)
            if isinstance(came["plan"], EvaluatePlan) and came["result"] is not None:
                found.append(Earlier(run.id, came["plan"], came["result"]))
    return found


def _listed(runs: Runs) -> Iterator[Run]:
    start: int | None = 0
    while start is not None:
        page = listed(runs.database, Filter(page=EvaluatePlan.page), start=start)
        yield from page.runs
        start = page.following


def known_answers(plan: EvaluatePlan, earlier: Sequence[Earlier]) -> Batch | None:
    """The outcomes of a plan's calls as far as any run has them, the last run first; None if none has any."""
    calls = plan.calls()
    found = [KnownAnswers(each.plan.calls(), each.batch).take(calls) for each in earlier]
    batches = [each for each in found if each is not None]
    if not batches:
        return None
    return Batch(tuple(_best(each) for each in zip(*(batch.outcomes for batch in batches), strict=True)))


def _best(outcomes: Sequence[Outcome]) -> Outcome:
    return next((each for each in outcomes if each.state is State.DONE), outcomes[0])


def complete(plan: EvaluatePlan, known: Batch | None) -> bool:
    """Whether everything that the plan asks is known."""
    return known is not None and not calls_left(plan.calls(), known)


def superseded(earlier: Sequence[Earlier], plan: EvaluatePlan, batch: Batch) -> list[str]:
    """The ids of runs all of whose answers are in the outcome of a plan; what else was paid for stays."""
    calls = plan.calls()
    found = []
    for each in earlier:
        taken = KnownAnswers(calls, batch).take(each.plan.calls())
        there = () if taken is None else taken.outcomes
        if all(
            own.state is not State.DONE or (place < len(there) and there[place].state is State.DONE)
            for place, own in enumerate(each.batch.outcomes)
        ):
            found.append(each.id)
    return found
