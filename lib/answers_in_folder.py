"""Answers to a plan that are kept in a folder, without a browser: only what is missing there is asked."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib import VERSION, formatting
from lib.access.policy import policy_for
from lib.access.visitor import ALONE
from lib.core.sources import BedrockModel, LocalModel, Source
from lib.earlier_runs import complete, earlier_runs, known_answers, superseded
from lib.engines.base import Unsupported
from lib.errors import CandorError, InvalidRequest
from lib.jobs.batch import Batch, State
from lib.jobs.job import Job
from lib.jobs.plan import Plan, models_of
from lib.jobs.run_plan import run_plan
from lib.services import Services
from lib.store.database import open_database
from lib.store.job_runs import run_about
from lib.store.run import microseconds
from lib.store.runs import Runs
from lib.store.writer import RunWriter
from lib.terminal import say

_SAVING = 60.0  # seconds to write what is not saved yet
_LOOK = 0.5  # seconds between two lines of progress


def source_of_option(options: argparse.Namespace, model: str) -> Source:
    """The model that an option names; region, profile, endpoint and tokenizer are options of their own."""
    if not model.startswith("arn:"):
        return LocalModel(model)
    return BedrockModel(
        model,
        tokenizer=options.tokenizer,
        region=options.region,
        profile=options.profile,
        endpoint=options.endpoint,
    )


def services_for(options: argparse.Namespace) -> Services:
    """Services that keep the caps of the options --max-dollars and --max-calls."""
    caps = {"CANDOR_MAX_DOLLARS": options.max_dollars, "CANDOR_MAX_CALLS": options.max_calls}
    environ = os.environ | {name: str(value) for name, value in caps.items() if value is not None}
    return Services(environ, lambda: policy_for("127.0.0.1", {}))


def _choose(source: Source, services: Services) -> None:
    """Use an imported model where the options say, as they are the user's own choice."""
    if isinstance(source, BedrockModel):
        services.account.choose(source.place, source.tokenizer)


def returns_prompt_logprobs(source: Source, services: Services, *, chat: bool) -> bool:
    """Whether a model returns logprobs of prompts. Waits for the service; raises InvalidRequest without such a mode."""
    _choose(source, services)
    if isinstance(source, BedrockModel):
        services.account.abilities(source)  # from now on they are known
    can = services.capabilities(source, chat=chat)
    if isinstance(can, Unsupported):
        raise InvalidRequest(can.reason, "Choose another mode or model.")
    return can.prompt_scores


def answers_to(plan: Plan, services: Services, file: Path) -> Batch:
    """The outcome of a plan: what is in the file already, and the rest, which is asked now and kept there.

    Raises CandorError.
    """
    for source in models_of(plan.calls()):
        _choose(source, services)
    database = open_database(f"sqlite:///{file.resolve()}")
    try:
        runs = Runs(database)
        earlier = earlier_runs(runs, type(plan))
        known = known_answers(plan, earlier)
        if known is not None and complete(plan, known):
            return known
        batch = _asked(services, runs, plan, known)
        runs.remove(superseded(earlier, plan, batch), by=ALONE)
        runs.erase(microseconds() + 1)
        return batch
    finally:
        database.close()


def _asked(services: Services, runs: Runs, plan: Plan, known: Batch | None) -> Batch:
    """The outcome of the plan, with what is not known yet asked now. Raises CandorError."""
    writer = RunWriter(lambda: runs)
    try:
        # With `resume_of`, answers by other weights than the model has now are asked for once more.
        job: Job[Batch] = services.jobs.start(run_plan(services.engines, plan, resume=known, resume_of=plan), plan)
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


def tell_failures(batch: Batch) -> int:
    """Say on standard error what failed; returns the exit code."""
    failed = [each.error for each in batch.outcomes if each.state is not State.DONE]
    if failed:
        say(f"{formatting.count(len(failed), 'prompt')} without an answer.", error=True)
    for error in dict.fromkeys(str(each) for each in failed if each is not None):
        say(error, error=True)
    if batch.cap is not None:
        say(str(batch.cap), error=True)
    return int(bool(failed))
