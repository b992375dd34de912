"""What `candor evaluate` does: a labelled file against a model, without a browser."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from lib import formatting
from lib.answers_in_folder import answers_to, services_for, source_of_option
from lib.core.request import Mode
from lib.errors import BadFile, InvalidRequest
from lib.evaluate_folder import STORE, Folder
from lib.evaluate_output import condition_of, tell, write_files
from lib.evaluation.dataset import Mapped, Questions, Task, guessed
from lib.evaluation.grades import Grades, for_rows, grades_in
from lib.evaluation.grading import Grader, Rule
from lib.evaluation.prompts import for_all_prompts
from lib.evaluation.ready import PREFIX, ready_set, ready_table
from lib.evaluation.table import Table, read_table
from lib.statistics.maps import Kind
from lib.studies.evaluation import EvaluatePlan, Variant, scores_of
from lib.studies.evaluation_outcome import outcome_of, rows_of
from lib.terminal import say

_LISTED = 5  # ids


def evaluate(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    conditions = [condition_of(each) for each in options.fail_if]
    wanted = _wanted(options)
    folder = Folder(Path(options.out))
    folder.prepare([each for each in (options.data, options.grades) if each])
    plan, found = _plan(options)
    if options.score and options.score not in scores_of(plan.task):
        raise InvalidRequest(f"The score {options.score} needs choices.", "Choose another, or give --task choice.")
    grades: Grades = _grades(options.grades, len(plan.others)) if options.grades else {}
    for problem in found.problems:
        say(f"Row {problem.row:,} is left out: {problem.cause}", error=True)
    if found.repeated:
        verb = "repeats" if found.repeated == 1 else "repeat"
        say(f"{formatting.count(found.repeated, 'row')} {verb} another.", error=True)
    grades, unknown = for_rows(grades, {each.row_id for each in plan.questions})
    if unknown:
        some = ", ".join(f"“{each[:80]}”" for each in unknown[:_LISTED])
        verb = "matches" if len(unknown) == 1 else "match"
        say(f"{formatting.count(len(unknown), 'id')} in the grades {verb} no single row: {some}.", error=True)
    batch = answers_to(plan, services_for(options), folder.path / STORE)
    rows = rows_of(plan, batch, grades)
    outcome = outcome_of(plan, rows, options.score, kind=Kind(options.map), wanted=wanted)
    write_files(outcome, folder)
    return tell(outcome, batch, conditions)


def _wanted(options: argparse.Namespace) -> tuple[tuple[float, float], ...]:
    """The risk and the certainty that were asked for. Raises InvalidRequest."""
    if options.risk is None:
        return ()
    if not 0 < options.risk < 1 or not 0.5 <= options.certainty < 1:
        raise InvalidRequest("A risk or a certainty is out of range.", "Give --risk 0.05 --certainty 0.9, for example.")
    return ((options.risk, options.certainty),)


def _plan(options: argparse.Namespace) -> tuple[EvaluatePlan, Questions]:
    data = _data(options.data)
    task, columns = data.task, data.mapped
    task = Task(options.task) if options.task else task
    chat = options.chat or data.chat
    mapped = Mapped(
        options.template or columns.template,
        options.expected or columns.expected,
        tuple(options.choices) or columns.choices,
        tuple(options.slice) or columns.slices,
        options.group or columns.group,
        options.id or columns.row_id,
    )
    grader = Grader(Rule(options.rule or data.rule), options.tolerance, options.field)
    found = for_all_prompts(data.table, task, mapped, grader, options.other_template)
    mode = Mode.CHAT if chat else Mode.RAW
    plan = EvaluatePlan(
        source_of_option(options, options.model),
        found.questions.questions,
        task,
        grader,
        "" if options.data == "-" else Path(options.data).name,
        mode,
        max_tokens=options.max_tokens,
        stop=() if chat else ("\n",),
        prior=options.prior,
        by_length=options.by_length,
        label=mapped.template if options.other_template else "",
        template=mapped.template,
        others=(
            *(Variant(source_of_option(options, each), mode=mode) for each in options.other_model),
            *(
                Variant(source_of_option(options, options.model), prompts, mode, name=template)
                for template, prompts in zip(options.other_template, found.prompts, strict=True)
            ),
        ),
    )
    return plan, found.questions


def _grades(file: str, others: int) -> Grades:
    """The grades in a file of rows. Raises BadFile."""
    try:
        return grades_in(_bytes(file).decode("utf-8-sig"), 1 + others)
    except UnicodeDecodeError as error:
        raise BadFile(f"{file} is not UTF-8.", "Save it as UTF-8.") from error


@dataclass(frozen=True)
class _Data:
    """Rows, and how they are asked and graded unless options say otherwise."""

    table: Table
    task: Task
    mapped: Mapped
    rule: Rule = Rule.NORMALIZED
    chat: bool = False


def _data(name: str) -> _Data:
    """A file, or a set that comes with Candor."""
    if name.startswith(PREFIX):
        ready = ready_set(name.removeprefix(PREFIX))
        return _Data(ready_table(ready.name), ready.task, ready.mapped, ready.grader.rule, ready.mode is Mode.CHAT)
    table = read_table(_bytes(name), name)
    return _Data(table, *guessed(table))


def _bytes(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BadFile(
            f"{file} cannot be read: {error.strerror}.", "Give the path of a file with labelled rows."
        ) from error
