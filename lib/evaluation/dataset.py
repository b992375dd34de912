"""Questions from the rows of a table: which column is what, and every row that cannot be asked, with its reason."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lib import formatting
from lib.core.request import check_text
from lib.errors import InvalidRequest
from lib.evaluation.grades import LONGEST_ID
from lib.evaluation.grading import Grader, normalized
from lib.evaluation.table import Problem, Table
from lib.evaluation.template import as_prompt_text, check_template, column_of, filled, placeholders

MOST_CHOICES = 26
MOST_SECONDS = 60.0  # to check a table; patterns as labels take long to compile
_NAMES = {
    "prompt": ("prompt", "question", "input", "query", "text", "instruction", "problem"),
    "expected": ("expected", "answer", "answers", "label", "target", "output", "gold", "reference", "completion"),
    "choices": ("choices", "options", "candidates"),
    "slices": ("category", "subject", "topic", "slice", "domain", "difficulty"),
    "group": ("template", "group", "cluster", "source"),
    "row_id": ("id", "row_id", "key", "uid"),
}


class Task(StrEnum):
    """What is asked of the model."""

    CHOICE = "choice"  # score each choice as a continuation of the prompt
    SHORT = "short"  # generate an answer and grade it
    TEXT = "text"  # score a text: perplexity only


@dataclass(frozen=True)
class Mapped:
    """Which column of a table is what."""

    template: str  # the prompt, with {column}
    expected: str = ""  # a column; "" for TEXT
    choices: tuple[str, ...] = ()  # one column of lists, or one column per choice; for CHOICE
    slices: tuple[str, ...] = ()  # columns whose values are reported on separately
    group: str = ""  # rows that are alike, such as those of one template, have the same value; "" for none
    row_id: str = ""  # "" numbers the rows


@dataclass(frozen=True)
class Question:
    """One labelled row."""

    row: int  # its number in the file, from 1
    row_id: str
    prompt: str
    expected: tuple[str, ...]  # answers that are right; of CHOICE, the text of the right choice; empty for TEXT
    choices: tuple[str, ...] = ()  # of CHOICE
    slices: tuple[tuple[str, str], ...] = ()  # (column, value)
    group: str = ""


@dataclass(frozen=True)
class Questions:
    """What can be asked, and what cannot."""

    questions: tuple[Question, ...]
    problems: tuple[Problem, ...]  # in the order of the file
    repeated: int  # questions with the same prompt and expected answers as one before them


def guessed(table: Table) -> tuple[Task, Mapped]:
    """What the columns are by their names: a first suggestion."""
    lower = {name.lower().strip(): name for name in table.columns}

    def first(kind: str) -> str:
        return next((lower[each] for each in _NAMES[kind] if each in lower), "")

    writable = [each for each in table.columns if each and not set("{}") & set(each)]  # as a placeholder
    prompt = first("prompt") or next(iter(writable), table.columns[0])
    mapped = Mapped(
        template=f"{{{prompt}}}",
        expected=first("expected"),
        choices=(first("choices"),) if first("choices") else (),
        slices=tuple(lower[each] for each in _NAMES["slices"] if each in lower),
        group=first("group"),
        row_id=first("row_id"),
    )
    task = Task.CHOICE if mapped.choices else Task.SHORT if mapped.expected else Task.TEXT
    return task, mapped


def questions_of(table: Table, task: Task, mapped: Mapped, grader: Grader | None = None) -> Questions:
    """The questions of a table. Raises InvalidRequest if a column is missing, or no row can be asked.

    grader: of SHORT; each row's expected answers are checked by its rule.
    """
    _check_columns(table, task, mapped)
    found: list[Question] = []
    problems = list(table.problems)
    ids: Counter[str] = Counter()
    deadline = time.monotonic() + MOST_SECONDS
    for number, row in zip(table.numbers, table.rows, strict=True):
        if time.monotonic() > deadline:
            raise InvalidRequest("The rows take too long to check.", "Evaluate fewer, or simplify their patterns.")
        try:
            question = _question(number, row, task, mapped, grader)
            ids[question.row_id] += 1
            if ids[question.row_id] > 1:
                raise InvalidRequest(f"An earlier row already has the id “{question.row_id[:80]}”.")
        except InvalidRequest as error:
            problems.append(Problem(number, error.cause))
            continue
        found.append(question)
    problems.sort(key=lambda each: each.row)
    if not found:
        reason = f"Row {problems[0].row}: {problems[0].cause}" if problems else ""
        raise InvalidRequest("No row can be asked.", reason)
    repeated = len(found) - len({(each.prompt, each.expected, each.choices) for each in found})
    return Questions(tuple(found), tuple(problems), repeated)


def _check_columns(table: Table, task: Task, mapped: Mapped) -> None:
    check_template(mapped.template, table.columns)
    if task is not Task.TEXT and not mapped.expected:
        raise InvalidRequest("No column holds the expected answers.", "Choose one.")
    if task is Task.CHOICE and not mapped.choices:
        raise InvalidRequest("No column holds the choices.", "Choose one with lists, or one for each choice.")
    for name in (mapped.expected, *mapped.choices, *mapped.slices, mapped.group, mapped.row_id):
        if name and name not in table.columns:
            raise InvalidRequest(f"There is no column “{name}”.", f"There are {', '.join(table.columns)}.")


def _question(number: int, row: Mapping[str, Any], task: Task, mapped: Mapped, grader: Grader | None) -> Question:
    _check_texts(row, mapped)
    prompt = filled(mapped.template, row)
    if prompt is None or not prompt.strip():
        raise InvalidRequest("A value of its prompt is missing.")
    choices = _choices(row, mapped.choices) if task is Task.CHOICE else ()
    expected = _texts(row.get(mapped.expected)) if task is not Task.TEXT else ()
    if task is Task.CHOICE:
        expected = (_right_choice(expected, choices),)
    elif task is Task.SHORT:
        if not expected:
            raise InvalidRequest("Its expected answer is missing.")
        if grader is not None:
            grader.check(expected)
    return Question(
        row=number,
        row_id=_row_id(row, mapped.row_id) or str(number),
        prompt=prompt,
        expected=expected,
        choices=choices,
        slices=tuple((name, as_prompt_text(row[name])) for name in mapped.slices if name in row),
        group=as_prompt_text(row[mapped.group]) if mapped.group and mapped.group in row else "",
    )


def _check_texts(row: Mapping[str, Any], mapped: Mapped) -> None:
    """Raise InvalidRequest if a value that is used can be neither asked nor written."""
    used = (
        *placeholders(mapped.template),
        mapped.expected,
        *mapped.choices,
        *mapped.slices,
        mapped.group,
        mapped.row_id,
    )
    for name in dict.fromkeys(column_of(each, row) for each in used):
        if name in row:
            try:
                check_text(as_prompt_text(row[name]))
            except InvalidRequest as error:
                cause = error.cause.replace("The text", f"Its value of “{name[:80]}”", 1)
                raise InvalidRequest(cause, error.remedy) from error


def _row_id(row: Mapping[str, Any], column: str) -> str:
    found = as_prompt_text(row[column]) if column and column in row else ""
    if len(found) > LONGEST_ID:
        raise InvalidRequest(f"Its id has more than {LONGEST_ID:,} characters.")
    return found


def _texts(value: Any) -> tuple[str, ...]:
    """Several answers from a list, or from text that is a JSON list; else one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return (value,)
    values: Iterable[Any] = value if isinstance(value, list) else () if value is None else (value,)
    return tuple(text for text in (as_prompt_text(each) for each in values if each is not None) if text.strip())


def _choices(row: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    if len(columns) == 1:
        found = _texts(row.get(columns[0]))
        if len(found) == 1 and isinstance(row.get(columns[0]), str):
            found = tuple(each.strip() for each in found[0].split("|") if each.strip())
    else:
        found = tuple(as_prompt_text(row[name]) for name in columns if name in row)
    if not 2 <= len(found) <= MOST_CHOICES:
        raise InvalidRequest(f"It has {formatting.count(len(found), 'choice')}, not 2 to {MOST_CHOICES}.")
    if len({normalized(each) or each for each in found}) < len(found):
        raise InvalidRequest("Two of its choices are the same.")
    return found


def _right_choice(expected: Sequence[str], choices: Sequence[str]) -> str:
    """The right choice: by its text, its letter, or its number from 0 as in most published sets."""
    if len(expected) != 1:
        raise InvalidRequest("Its expected answer is missing." if not expected else "It names several right choices.")
    label = expected[0].strip()
    by_text = [each for each in choices if each.strip() == label] or [
        each for each in choices if normalized(each) == normalized(label)
    ]
    if by_text:
        return by_text[0]
    if len(label) == 1 and label.isascii() and label.isalpha() and ord(label.upper()) - ord("A") < len(choices):
        return choices[ord(label.upper()) - ord("A")]
    if label.isdecimal() and len(label) <= 2 and int(label) < len(choices):
        return choices[int(label)]
    raise InvalidRequest(f"Its expected answer “{label[:80]}” is not among its choices.")
