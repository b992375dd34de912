"""Jobs as runs to save, and saved runs as jobs to show again."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, islice, repeat
from typing import Any

from lib.core.completion import Completion, StopReason
from lib.errors import CandorError
from lib.formatting import beginning
from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.job import Job
from lib.jobs.plan import Plan, TwoStagePlan, models_of
from lib.store.foreign_sources import with_warnings
from lib.store.plan_codec import details_of, plan_of
from lib.store.run import TITLE, Answer, Run, RunState

CUT_OFF = CandorError(
    "Candor stopped while this answer was being generated.", "The partial answer is below. Run it again for all of it."
)
_FAILED = CandorError("This run failed.", "Run it again.")


def run_about(job: Job[Batch], page: str, *, owner: str, version: str, parent: str = "") -> Run:
    """The run to save a job as, before it has any answers."""
    plan = job.plan
    models = [each.name for each in models_of(plan.calls())] if plan is not None else []
    return Run(
        id=job.id,
        page=page,
        model=", ".join(models),
        source=next(iter(models), ""),
        owner=owner,
        title=title_of(plan),
        parent=parent,
        version=version,
        details=details_of(plan),
    )


def title_of(plan: Plan | None) -> str:
    """The start of the plan's title; "Saved response" without a plan or a title."""
    title = "" if plan is None else plan.title()
    return beginning(title, TITLE) if title else "Saved response"


def answers_of(batch: Batch | None) -> tuple[Answer, ...]:
    """The outcome of a job as the answers of a run."""
    outcomes = () if batch is None else batch.outcomes
    return tuple(Answer(each.completion, _texts(each.error)) for each in outcomes)


def ended(run: Run, job: Job[Batch]) -> Run:
    """The run of a job that is over, with the model's own name if its answers report one."""
    batch = job.result if job.result is not None else job.partial
    names = [each.model for each in batch.completions] if batch is not None else []
    error = job.error if job.error is not None else _only_error(batch)
    over = RunState.CANCELLED if job.cancelled else RunState.FINISHED
    state = over if error is None else RunState.FAILED
    model = next(filter(None, names), run.model)
    return replace(run, model=model, state=state, error=_texts(error), seconds=job.seconds)


def _only_error(batch: Batch | None) -> CandorError | None:
    """The error of a batch's only answer: there, the run has failed, too."""
    return batch.outcomes[0].error if batch is not None and len(batch.outcomes) == 1 else None


def _texts(error: CandorError | None) -> tuple[str, str] | None:
    return None if error is None else (error.cause, error.remedy)


def restored(run: Run, answers: tuple[Answer, ...], before: Completion | None = None) -> dict[str, Any]:
    """The arguments plan, result, error and seconds for `Jobs.restore`.

    before: the answer that the run branches from.
    """
    plan = plan_of(run, before)
    error = None if run.error is None else CandorError(*run.error)
    if run.state == RunState.INCOMPLETE:
        error = CUT_OFF
    elif run.state == RunState.FAILED and error is None:
        error = _FAILED
    batch = _batch(with_warnings(answers, run.details), plan)
    if run.state == RunState.INCOMPLETE:
        batch = Batch(tuple(map(_cut_off, batch.outcomes)))
    return {
        "plan": plan,
        "result": batch,
        "error": None if _only_error(batch) is not None else error,
        "seconds": run.seconds if run.seconds is not None else 0.0,
    }


def _batch(answers: tuple[Answer, ...], plan: Plan | None) -> Batch:
    if plan is not None:
        count = sum(each.answers for each in plan.calls())
        if isinstance(plan, TwoStagePlan):  # there may be answers to further calls
            count = max(count, len(answers))
        answers = tuple(islice(chain(answers, repeat(Answer())), count))
    return Batch(tuple(_outcome(each) for each in answers))


def _cut_off(outcome: Outcome) -> Outcome:
    """An answer that was being generated when the process ended has failed, so that it can be retried."""
    unfinished = outcome.completion is not None and outcome.completion.stop_reason == StopReason.INCOMPLETE
    return replace(outcome, state=State.FAILED) if unfinished else outcome


def _outcome(answer: Answer) -> Outcome:
    if answer.error is not None:
        return Outcome(State.FAILED, answer.completion, CandorError(*answer.error))
    return Outcome(State.NOT_STARTED if answer.completion is None else State.DONE, answer.completion)
