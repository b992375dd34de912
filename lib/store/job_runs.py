"""Jobs as runs to save, and saved runs as jobs to show again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lib.core.completion import Completion
from lib.core.sources import BedrockModel, Source
from lib.errors import CandorError
from lib.formatting import beginning
from lib.jobs.batch import Many, Outcome, State
from lib.jobs.job import Job
from lib.jobs.plan import Several
from lib.jobs.run import Question
from lib.store.foreign_sources import with_warnings
from lib.store.plan_codec import described, described_plan, subject_of
from lib.store.run import TITLE, Answer, Run, RunState

CUT_OFF = CandorError(
    "Candor stopped while this answer was being generated.", "The partial answer is below. Run it again for all of it."
)
_FAILED = CandorError("This run failed.", "Run it again.")

Result = Completion | Many[Completion] | tuple[Completion, ...] | None


def run_about(job: Job[Any], page: str, *, owner: str, version: str, parent: str = "") -> Run:
    """The run to save a job as, before it has any answers."""
    subject = job.subject
    run = Run(id=job.id, page=page, model="", owner=owner, title=title_of(subject), version=version)
    if isinstance(subject, Question):
        name = _name(subject.source)
        return replace(run, model=name, source=name, parent=parent, details={"question": described(subject)})
    if isinstance(subject, Several):
        models = list(dict.fromkeys(_name(each.source) for each in subject.questions))
        source, details = next(iter(models), ""), described_plan(subject)
        return replace(run, model=", ".join(models), source=source, parent=parent, details=details)
    return replace(run, details={"saved": True})


def title_of(subject: object) -> str:
    """The start of the prompt or of the last user message; "Saved response" for any other subject."""
    if isinstance(subject, Several) and subject.questions:
        subject = subject.questions[0]
    if not isinstance(subject, Question):
        return "Saved response"
    return beginning(subject.original_request.last_user_text, TITLE)


def _name(source: Source) -> str:
    return source.arn if isinstance(source, BedrockModel) else source


def answers_of(value: Result) -> tuple[Answer, ...]:
    """The result of a job as the answers of a run."""
    if value is None:
        return ()
    if isinstance(value, Completion):
        return (Answer(value),)
    if isinstance(value, Many):
        return tuple(Answer(each.result, _texts(each.error)) for each in value.outcomes)
    return tuple(Answer(each) for each in value)


def ended(run: Run, job: Job[Any]) -> Run:
    """The run of a job that is over, with the model's own name if its answers report one."""
    answers = answers_of(job.result if job.result is not None else job.partial)
    names = [each.completion.model for each in answers if each.completion is not None]
    over = RunState.CANCELLED if job.cancelled else RunState.FINISHED
    state = over if job.error is None else RunState.FAILED
    model = next(filter(None, names), run.model)
    return replace(run, model=model, state=state, error=_texts(job.error), seconds=job.seconds)


def _texts(error: CandorError | None) -> tuple[str, str] | None:
    return None if error is None else (error.cause, error.remedy)


def restored(run: Run, answers: tuple[Answer, ...], before: Completion | None = None) -> dict[str, Any]:
    """The arguments subject, result, error and seconds for `Jobs.restore`.

    before: the answer that the run branches from.
    """
    subject = subject_of(run, before)
    error = None if run.error is None else CandorError(*run.error)
    if run.state == RunState.INCOMPLETE:
        error = CUT_OFF
    elif run.state == RunState.FAILED and error is None:
        error = _FAILED
    return {
        "subject": subject,
        "result": _result(with_warnings(answers, run.details), subject),
        "error": error,
        "seconds": run.seconds if run.seconds is not None else 0.0,
    }


def _result(answers: tuple[Answer, ...], subject: Question | Several | None) -> Result:
    if isinstance(subject, Several):
        places = len(subject.places)
        missing = [Answer()] * max(places - len(answers), 0)
        return Many(tuple(_outcome(each) for each in (*answers, *missing)[:places]))
    if subject is not None and subject.request.n > 1:
        return Many(tuple(_outcome(each) for each in answers))
    done = tuple(each.completion for each in answers if each.completion is not None)
    if subject is None:
        return done or None
    return done[0] if done else None


def _outcome(answer: Answer) -> Outcome[Completion]:
    if answer.error is not None:
        return Outcome(State.FAILED, answer.completion, CandorError(*answer.error))
    return Outcome(State.NOT_STARTED if answer.completion is None else State.DONE, answer.completion)
