"""What a run was asked, as JSON and back: a question opens again as it was."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date
from typing import Any

from lib.core.branching import Fork
from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.serialization import request_as_json, request_of
from lib.core.sources import BedrockModel, Source
from lib.core.tokens import NO_TOKENS
from lib.errors import BadFile, CandorError, InvalidRequest
from lib.jobs.batch import Many, Outcome, State
from lib.jobs.job import Job
from lib.jobs.plan import Several
from lib.jobs.run import Question
from lib.store.runs import FAILED, INCOMPLETE, Answer, Run, beginning
from lib.store.runs import TITLE as _TITLE

CUT_OFF = CandorError(
    "Candor ended while this answer was being written.", "What had come until then is below. Ask again for all of it."
)


_PLACES = ("endpoint", "profile", "tokenizer")  # of a source: where to connect, as whom, and what to read
_FROM_FILE = "from_file"
_LONGEST_PLACE = 300
_MOST_QUESTIONS = 1_000


def run_about(job: Job[Any], page: str, *, owner: str, version: str, parent: str = "") -> Run:
    """The run that keeps a job."""
    subject = job.subject
    if isinstance(subject, Question):
        return Run(
            id=job.id,
            page=page,
            model=_name(subject.source),
            source=_name(subject.source),
            owner=owner,
            title=title_of(subject),
            parent=parent,
            details={"question": described(subject)},
            version=version,
        )
    if isinstance(subject, Several):
        models = dict.fromkeys(_name(each.source) for each in subject.questions)
        return Run(
            id=job.id,
            page=page,
            model=", ".join(models),
            source=next(iter(models), ""),
            owner=owner,
            title=title_of(subject),
            parent=parent,
            details={"questions": [described(each) for each in subject.questions], "marks": list(subject.marks)},
            version=version,
        )
    return Run(
        id=job.id, page=page, model="", owner=owner, title=title_of(subject), version=version, details={"saved": True}
    )


def title_of(question: object) -> str:
    """How a question begins: that of a chat is what its user said last. Whatever is none is a saved response."""
    if isinstance(question, Several) and question.questions:
        question = question.questions[0]
    if not isinstance(question, Question):
        return "Saved response"
    return beginning(question.original_request.last_user_text, _TITLE)


def described(question: Question) -> dict[str, Any]:
    """A question as JSON. Where it branches from is not in it: that is the run before it."""
    source, fork = question.source, question.fork
    about: dict[str, Any] = {"source": source, "request": request_as_json(question.request), "fork": None}
    if question.candidates:
        about["given"] = list(question.candidates)
    if isinstance(source, BedrockModel):
        imported = None if source.imported is None else source.imported.isoformat()
        about["source"] = asdict(source) | {"imported": imported}
    if fork is not None:
        about["fork"] = {
            "kept": fork.kept,
            "forced": list(fork.forced),
            "text": fork.text,
            "asked": request_as_json(fork.asked),
            "warning": fork.warning,
        }
    return about


def question_of(about: Any, before: Completion | None = None) -> Question:
    """The question that `described` described. before: the answer that it branches from. Raises BadFile."""
    try:
        given = tuple(about.get("given", ()))
        if not all(isinstance(text, str) for text in given):
            raise TypeError("what is given are texts")
        return Question(_source(about["source"]), request_of(about["request"]), _fork(about["fork"], before), given)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidRequest) as error:
        raise BadFile("What this run was asked cannot be read.", "Its answer can be; ask anew.") from error


def restored(run: Run, answers: tuple[Answer, ...], before: Completion | None = None) -> dict[str, Any]:
    """What `Jobs.restore` needs to bring a run back: subject, result, error and seconds."""
    answers = _with_notes(answers, run.details)
    question: Question | Several | None = None
    try:
        if (about := run.details.get("question")) is not None:
            question = question_of(about, before)
        elif isinstance(several := run.details.get("questions"), list):
            marks = run.details.get("marks", [])
            if not isinstance(marks, list) or not all(type(each) is int for each in marks):
                raise BadFile("What this run was asked cannot be read.", "Its answers can be; ask anew.")
            if len(several) > _MOST_QUESTIONS:
                raise BadFile("This run has more questions than any page asks.", "Its answers can be read.")
            question = Several(run.page, tuple(question_of(each) for each in several), tuple(marks))
    except BadFile:
        question = None
    error = None if run.error is None else CandorError(*run.error)
    if run.state == INCOMPLETE:
        error = CUT_OFF
    elif run.state == FAILED and error is None:
        error = CandorError("This run failed.", "Ask again.")
    return {
        "subject": question,
        "result": _result(answers, question),
        "error": error,
        "seconds": run.seconds if run.seconds is not None else 0.0,
    }


def without_places(details: dict[str, Any]) -> dict[str, Any]:
    """The details of a run from a file, in which no source says where to connect, as whom, or what to read.

    What the file said of that is noted, to be shown. Raises TypeError or ValueError for what is no question.
    """
    named = _named_in_file(details)
    several = details.get("questions")
    questions = several if isinstance(several, list) else []
    for about in [details.get("question"), *questions]:
        source = about.get("source") if isinstance(about, dict) else None
        if isinstance(source, dict):
            for kind in _PLACES:
                if (value := source.get(kind)) not in ("", None):
                    named.setdefault(kind, str(value)[:_LONGEST_PLACE])
                source[kind] = ""
    return {**details, _FROM_FILE: named} if named else details


def _named_in_file(details: dict[str, Any]) -> dict[str, str]:
    found = details.get(_FROM_FILE)
    pairs = found.items() if isinstance(found, dict) else ()
    return {kind: str(value)[:_LONGEST_PLACE] for kind, value in pairs if kind in _PLACES}


def _with_notes(answers: tuple[Answer, ...], details: dict[str, Any]) -> tuple[Answer, ...]:
    """The answers of a run from a file, which say what it named and is not used."""
    notes = tuple(
        f"The file of this run names the {kind} {value!r}. It is not used."
        for kind, value in _named_in_file(details).items()
    )
    if not notes:
        return answers
    return tuple(
        each
        if each.completion is None
        else replace(each, completion=replace(each.completion, warnings=(*each.completion.warnings, *notes)))
        for each in answers
    )


def _result(
    answers: tuple[Answer, ...], question: Question | Several | None
) -> Completion | Many[Completion] | tuple[Completion, ...] | None:
    if isinstance(question, Several):
        places = len(question.places)
        missing = [Answer()] * max(places - len(answers), 0)
        return Many(tuple(_outcome(each) for each in (*answers, *missing)[:places]))
    if question is not None and question.request.n > 1:
        return Many(tuple(_outcome(each) for each in answers))
    done = tuple(each.completion for each in answers if each.completion is not None)
    if question is None:
        return done or None
    return done[0] if done else None


def _outcome(answer: Answer) -> Outcome[Completion]:
    if answer.error is not None:
        return Outcome(State.FAILED, answer.completion, CandorError(*answer.error))
    return Outcome(State.NOT_STARTED if answer.completion is None else State.DONE, answer.completion)


def _name(source: Source) -> str:
    return source.arn if isinstance(source, BedrockModel) else source


def _source(about: Any) -> Source:
    if isinstance(about, str):
        return about
    imported = about["imported"]
    texts = {name: about[name] for name in ("arn", "tokenizer", "form", "region", "profile", "endpoint")}
    if not all(isinstance(value, str) for value in texts.values()) or not isinstance(about["continues"], bool):
        raise TypeError("a model is described by texts")
    when = None if imported is None else date.fromisoformat(imported)
    return BedrockModel(**texts, imported=when, continues=about["continues"])


def _fork(about: Any, before: Completion | None) -> Fork | None:
    if about is None:
        return None
    asked: Request = request_of(about["asked"])
    kept, forced = about["kept"], tuple(about["forced"])
    if not isinstance(kept, int) or not all(isinstance(number, int) for number in forced):
        raise TypeError("ids are numbers")
    if before is None:  # it was erased, and only what stays of it is known: from the branch itself
        before = Completion(asked, "", NO_TOKENS, NO_TOKENS, "")
    return Fork(before, kept, forced, str(about["text"]), asked, str(about["warning"]))
