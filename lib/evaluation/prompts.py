"""Several prompts for the same rows, to compare them over many inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lib.core.request import check_text
from lib.errors import InvalidRequest
from lib.evaluation.dataset import Mapped, Question, Questions, Task, questions_of
from lib.evaluation.grading import Grader
from lib.evaluation.table import Problem, Table
from lib.evaluation.template import check_template, filled


@dataclass(frozen=True)
class AllPrompts:
    """The questions that every prompt can be filled in for."""

    questions: Questions  # with the prompts of the first template
    prompts: tuple[tuple[str, ...], ...]  # of each further template, the prompt of each question


def for_all_prompts(
    table: Table, task: Task, mapped: Mapped, grader: Grader | None, templates: Sequence[str]
) -> AllPrompts:
    """The questions of a table with the prompts of several templates.

    A row that lacks a value of any of the templates is left out, so that all are asked the same questions.

    templates: those besides `mapped.template`. Raises InvalidRequest as `questions_of` does, and for equal templates.
    """
    if len({mapped.template, *templates}) <= len(templates):
        raise InvalidRequest("Two of the prompts are the same.", "Change one of them.")
    for each in templates:
        check_template(each, table.columns)
    found = questions_of(table, task, mapped, grader)
    rows = dict(zip(table.numbers, table.rows, strict=True))
    kept: list[Question] = []
    texts: list[list[str]] = []
    problems = list(found.problems)
    for question in found.questions:
        own = [filled(each, rows[question.row]) or "" for each in templates]
        if problem := _problem(own):
            problems.append(Problem(question.row, problem))
        else:
            kept.append(question)
            texts.append(own)
    if not kept:
        raise InvalidRequest("No row has the values of all prompts.", "Name columns that are filled in.")
    problems.sort(key=lambda each: each.row)
    questions = replace(found, questions=tuple(kept), problems=tuple(problems))
    return AllPrompts(questions, tuple(zip(*texts, strict=True)))


def _problem(prompts: Sequence[str]) -> str:
    """Why one of a row's prompts cannot be asked; "" if all can."""
    if not all(each.strip() for each in prompts):
        return "A value of one of the prompts is missing."
    try:
        for each in prompts:
            check_text(each)
    except InvalidRequest as error:
        return error.cause.replace("The text", "One of its prompts", 1)
    return ""
