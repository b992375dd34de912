"""Questions as JSON in the details of a run, and back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from lib.core.branching import Fork
from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.serialization import request_as_json, request_of
from lib.core.sources import BedrockModel, Source
from lib.core.tokens import NO_TOKENS
from lib.errors import BadFile, InvalidRequest
from lib.jobs.plan import Several
from lib.jobs.run import Question
from lib.store.run import Run

_MAX_QUESTIONS = 1_000
_UNREADABLE = "The request of this run cannot be read."
_REMEDY = "Its answers can still be viewed. To continue, start a new run."


def described(question: Question) -> dict[str, Any]:
    """A question as JSON. The answer that it branches from is not included: it belongs to the parent run."""
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
    """The question in JSON. before: the answer that it branches from. Raises BadFile."""
    try:
        candidates = tuple(about.get("given", ()))
        if not all(isinstance(text, str) for text in candidates):
            raise TypeError("candidates must be texts")
        fork = _fork(about["fork"], before)
        return Question(_source(about["source"]), request_of(about["request"]), fork, candidates)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidRequest) as error:
        raise BadFile(_UNREADABLE, _REMEDY) from error


def described_plan(several: Several) -> dict[str, Any]:
    """The details of a run that asks several questions."""
    return {"questions": [described(each) for each in several.questions], "marks": list(several.marks)}


def subject_of(run: Run, before: Completion | None = None) -> Question | Several | None:
    """What a run asked; None for a saved response, or if it cannot be read.

    before: the answer that its question branches from.
    """
    try:
        if (about := run.details.get("question")) is not None:
            return question_of(about, before)
        if isinstance(run.details.get("questions"), list):
            return _plan(run)
    except BadFile:
        pass
    return None


def _plan(run: Run) -> Several:
    questions, marks = run.details["questions"], run.details.get("marks", [])
    if not isinstance(marks, list) or not all(type(each) is int for each in marks):
        raise BadFile(_UNREADABLE, _REMEDY)
    if len(questions) > _MAX_QUESTIONS:
        raise BadFile("This run has more questions than any page asks.", _REMEDY)
    return Several(run.page, tuple(question_of(each) for each in questions), tuple(marks))


def _source(about: Any) -> Source:
    if isinstance(about, str):
        return about
    imported = about["imported"]
    texts = {name: about[name] for name in ("arn", "tokenizer", "form", "region", "profile", "endpoint")}
    if not all(isinstance(value, str) for value in texts.values()) or not isinstance(about["continues"], bool):
        raise TypeError("a value of the model has the wrong type")
    when = None if imported is None else date.fromisoformat(imported)
    return BedrockModel(**texts, imported=when, continues=about["continues"])


def _fork(about: Any, before: Completion | None) -> Fork | None:
    if about is None:
        return None
    asked: Request = request_of(about["asked"])
    kept, forced = about["kept"], tuple(about["forced"])
    if not isinstance(kept, int) or not all(isinstance(number, int) for number in forced):
        raise TypeError("token ids must be integers")
    if before is None:  # the parent run was erased; the branch itself has what remains
        before = Completion(asked, "", NO_TOKENS, NO_TOKENS, "")
    return Fork(before, kept, forced, str(about["text"]), asked, str(about["warning"]))
