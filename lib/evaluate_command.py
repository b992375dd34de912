"""What `candor evaluate` does: a labelled file against a model, without a browser."""

from __future__ import annotations

import argparse
import json
import math
import operator
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib import VERSION, formatting
from lib.access.policy import policy_for
from lib.access.visitor import ALONE
from lib.core.request import Mode
from lib.core.sources import BedrockModel, LocalModel, Source
from lib.display.spreadsheet import as_csv
from lib.errors import BadFile, CandorError, InvalidRequest
from lib.evaluate_options import CONDITION_MET, FIGURES
from lib.evaluation.dataset import Mapped, Questions, Task, guessed, questions_of
from lib.evaluation.grading import Grader, Rule
from lib.evaluation.ready import PREFIX, ready_set, ready_table
from lib.evaluation.table import Table, read_table
from lib.jobs.batch import Batch, State
from lib.jobs.job import Job
from lib.jobs.resume import KnownAnswers
from lib.jobs.run_plan import calls_left, run_plan
from lib.services import Services
from lib.store.database import open_database
from lib.store.job_runs import restored, run_about
from lib.store.queries import Filter, listed
from lib.store.run import microseconds
from lib.store.runs import Runs
from lib.store.writer import RunWriter
from lib.studies.evaluation import Answered, EvaluatePlan, answered

_STORE, _REPORT, _ROWS = "answers.sqlite", "report.json", "rows.csv"
_SAVING = 60.0  # seconds to write what is not saved yet
_LOOK = 0.5  # seconds between two lines of progress
_CONDITION = re.compile(r"\s*([a-z_]+)\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\s*")
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def evaluate(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    conditions = [_condition(each) for each in options.fail_if]
    plan, found = _plan(options)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    for problem in found.problems:
        print(f"Row {problem.row:,} is left out: {problem.cause}", file=sys.stderr)
    if found.repeated:
        print(f"{formatting.count(found.repeated, 'row')} repeat another.", file=sys.stderr)
    batch = _run(options, plan, folder)
    rows = answered(plan, batch, by_length=options.by_length)
    return _reported(rows, batch, folder, options.score, conditions)


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
    found = questions_of(data.table, task, mapped, grader)
    plan = EvaluatePlan(
        _source(options),
        found.questions,
        task,
        grader,
        "" if options.data == "-" else Path(options.data).name,
        Mode.CHAT if chat else Mode.RAW,
        max_tokens=options.max_tokens,
        stop=() if chat else ("\n",),
        prior=options.prior,
    )
    return plan, found


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


def _source(options: argparse.Namespace) -> Source:
    if not options.model.startswith("arn:"):
        return LocalModel(options.model)
    return BedrockModel(
        options.model,
        tokenizer=options.tokenizer,
        region=options.region,
        profile=options.profile,
        endpoint=options.endpoint,
    )


def _run(options: argparse.Namespace, plan: EvaluatePlan, folder: Path) -> Batch:
    """Ask what is missing; what is there already comes from the folder."""
    caps = {"CANDOR_MAX_DOLLARS": options.max_dollars, "CANDOR_MAX_CALLS": options.max_calls}
    environ = os.environ | {name: str(value) for name, value in caps.items() if value is not None}
    services = Services(environ, lambda: policy_for("127.0.0.1", {}))
    if isinstance(plan.source, BedrockModel):  # the options are the user's own choice
        services.account.choose(plan.source.place, plan.source.tokenizer)
    database = open_database(f"sqlite:///{folder.resolve() / _STORE}")
    try:
        runs = Runs(database)
        earlier = earlier_runs(runs)
        if (known := complete(plan, earlier)) is not None:
            return known
        batch = _asked(services, runs, plan, earlier)
        runs.remove([each.id for each in earlier], by=ALONE)
        runs.erase(microseconds() + 1)
        return batch
    finally:
        database.close()


@dataclass(frozen=True)
class _Earlier:
    """A run in the folder."""

    id: str
    plan: EvaluatePlan
    batch: Batch


def earlier_runs(runs: Runs) -> list[_Earlier]:
    """The runs in the folder, the last one first: finished, or cut off by a kill."""
    found = []
    for run in listed(runs.database, Filter(page=EvaluatePlan.page)).runs:
        if (opened := runs.open(run.id)) is not None:
            came = restored(*opened)
            if isinstance(came["plan"], EvaluatePlan) and came["result"] is not None:
                found.append(_Earlier(run.id, came["plan"], came["result"]))
    return found


def complete(plan: EvaluatePlan, earlier: Sequence[_Earlier]) -> Batch | None:
    """The outcome of the plan if the last run has all of it; None if something is to be asked."""
    if not earlier:
        return None
    calls = plan.calls()
    found = KnownAnswers(earlier[0].plan.calls(), earlier[0].batch).take(calls)
    return None if found is None or calls_left(calls, found) else found


def _asked(services: Services, runs: Runs, plan: EvaluatePlan, earlier: Sequence[_Earlier]) -> Batch:
    """The outcome of the plan, with what the last run lacks asked now. Raises CandorError."""
    known, of = (earlier[0].batch, earlier[0].plan) if earlier else (None, None)
    writer = RunWriter(lambda: runs)
    try:
        job: Job[Batch] = services.jobs.start(run_plan(services.engines, plan, resume=known, resume_of=of), plan)
        writer.follow(job, run_about(job, plan.page, owner="", version=VERSION))
        with _stops(job):
            _watch(job, services)
        if job.error is not None:
            raise job.error
        if not writer.close(_SAVING):
            raise writer.problem or CandorError("The answers could not be saved.", "Run the command again.")
    finally:
        writer.close(_SAVING)
    return job.result or job.partial or Batch()


@contextmanager
def _stops(job: Job[Batch]) -> Iterator[None]:
    """Ctrl+C stops the job, and pressed again drops the calls in flight."""
    usual = signal.signal(signal.SIGINT, lambda *_: job.cancel())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _watch(job: Job[Batch], services: Services) -> None:
    """Tell how far the job is, until it is over."""
    told = ""
    while not job.wait(_LOOK):
        line = _progress(job.partial, services.ledger.dollars)
        if line and line != told and sys.stderr.isatty():
            print(f"\r{line:<78}", end="", file=sys.stderr, flush=True)
            told = line
    if told:
        print(file=sys.stderr)


def _progress(batch: Batch | None, dollars: float) -> str:
    if batch is None or not batch.outcomes:
        return ""
    done, failed = batch.count(State.DONE), batch.count(State.FAILED)
    words = [f"{done:,} of {formatting.count(len(batch.outcomes), 'answer')}"] + [f"{failed:,} failed"] * bool(failed)
    if batch.seconds_left is not None:
        words.append(f"about {formatting.seconds(batch.seconds_left)} left")
    return " · ".join([*words, *[formatting.dollars(dollars)] * bool(dollars)])


@dataclass(frozen=True)
class _Condition:
    """What --fail-if names."""

    text: str
    name: str
    sign: str
    limit: float

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it holds. A figure that is missing fails every condition on it: nothing shows that it does not."""
        value = values[self.name]
        return math.isnan(value) or _COMPARED[self.sign](value, self.limit)


def _condition(text: str) -> _Condition:
    found = _CONDITION.fullmatch(text)
    if found is None or found[1] not in FIGURES:
        known = ", ".join(FIGURES)
        raise InvalidRequest(f"“{text}” is no condition.", f"Compare one of {known} with a number: accuracy<0.8.")
    return _Condition(text, found[1], found[2], float(found[3]))


def _reported(
    rows: Sequence[Answered], batch: Batch, folder: Path, score: str, conditions: Sequence[_Condition]
) -> int:
    """Write the report and the rows, print a summary, and say which conditions hold."""
    from lib.studies.evaluation_report import as_json, report
    from lib.studies.evaluation_text import figures, summary, table

    found = report(rows, score)
    (folder / _REPORT).write_text(json.dumps(as_json(found), indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / _ROWS).write_text(as_csv(table(rows)), encoding="utf-8", newline="")
    for line in summary(found):
        print(line)
    for error in dict.fromkeys(str(each.error) for each in rows if each.error is not None):
        print(error, file=sys.stderr)
    if batch.cap is not None:
        print(batch.cap, file=sys.stderr)
    values = figures(found)
    held = [each for each in conditions if each.holds(values)]
    for each in held:
        print(f"{each.text}: {each.name} is {values[each.name]:.4g}.", file=sys.stderr)
    unanswered = any(each.completion is None or each.error is not None for each in rows)
    return CONDITION_MET if held else int(unanswered)
