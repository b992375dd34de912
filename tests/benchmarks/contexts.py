"""Contexts: passages scored together against one at a time, and against what a service's latency would allow."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from contextlib import closing

import numpy as np

from lib.contexts.passages import Passage
from lib.contexts.scorings import DRAFT, QUESTION
from lib.core.request import Request
from lib.core.sources import EMBEDDED, AwsTarget, BedrockModel
from lib.costs.ledger import Caps, Ledger
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.calls import AT_ONCE
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.local.engine import LocalEngine
from lib.engines.local.opening import open_local
from lib.jobs.batch import Batch, State
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Jobs
from lib.jobs.run_plan import run_plan
from lib.models.tokenizer_files import load_tokenizer
from lib.studies.contexts import ContextsPlan
from lib.studies.contexts_outcome import scored_of
from tests.benchmarks.client import ARN, NOBODY, answering
from tests.benchmarks.engine import ENGLISH, without_end
from tests.benchmarks.report import Figure, alternated
from tests.benchmarks.wire import response_of

_PASSAGES, _TOKENS, _DRAFT = 20, 150, 8
_RATED, _LATENCY = 3 * AT_ONCE, 0.2
_QUESTION = "When does the museum open on Sundays?"


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    os.environ.update(NOBODY)  # the calls must not be signed with the keys of this machine
    yield _rate()
    with closing(open_local("embedded")) as engine:
        plan = ContextsPlan(EMBEDDED, _QUESTION, _passages(_PASSAGES), scorings=(QUESTION,), k=0)
        name = f"{_PASSAGES} passages of {_TOKENS} tokens, question likelihood ÷ one at a time, times as fast"
        yield _together(engine, plan, name, 2)
        drafts = ContextsPlan(
            EMBEDDED, _QUESTION, _passages(_PASSAGES), scorings=(DRAFT,), by=DRAFT, draft_tokens=_DRAFT, k=0
        )
        with without_end(engine):  # a draft that ends at once would measure nothing
            yield _together(engine, drafts, f"{_PASSAGES} drafts of {_DRAFT} tokens ÷ one at a time, times as fast", 3)


def _passages(count: int, *, alike: bool = False) -> tuple[Passage, ...]:
    """Passages that begin differently, so that no prefix is shared, each of about as many tokens."""
    tokenizer = load_tokenizer("embedded")
    ids = tokenizer.encode(ENGLISH * 10)[:_TOKENS]
    text = tokenizer.vocabulary.decode(ids)
    return tuple(Passage(str(each), text if alike else f"{each * 37} {text}") for each in range(count))


def _together(engine: LocalEngine, plan: ContextsPlan, name: str, goal: float) -> Figure:
    engines = Engines(lambda _: engine)
    requests: list[Request] = [each.request for each in plan.calls()]

    def ours() -> None:
        _over(engines, plan)

    def theirs() -> None:
        for each in requests:
            engine.complete(each)

    fast, slow = alternated(ours, theirs, 3)
    return Figure(name, slow / fast, goal, at_least=True)


def _over(engines: Engines, plan: ContextsPlan) -> Batch:
    """The outcome of a plan, with the seconds that it took."""
    job = Jobs().start(run_plan(engines, plan), plan)
    assert job.wait(300)
    assert job.result is not None
    assert job.result.count(State.DONE) == len(plan.passages)
    return job.result


def _rate() -> Figure:
    """The same passage again and again, as the service gives one response to everything."""
    tokenizer = load_tokenizer("embedded")
    passages = _passages(_RATED, alike=True)
    plan = ContextsPlan(BedrockModel(ARN), _QUESTION, passages, scorings=(QUESTION, DRAFT), draft_tokens=2, k=1)
    ids = tokenizer.encode(plan.prompt_of(passages[0].text).text)
    response = response_of(ids, tokenizer.vocabulary.pieces.texts, 1)  # type: ignore[arg-type]
    with answering(response, _LATENCY) as url, closing(Account()) as account:
        model = BedrockModel(ARN, endpoint=url, form="OPENAI")
        client = account.client("bedrock-runtime", AwsTarget("us-east-1", "", url))
        engine = BedrockEngine(model, tokenizer, client=client, ledger=Ledger(Caps(None, None)))
        engines = Engines(lambda _: engine)
        scored = scored_of(plan, _over(engines, plan))  # connections, tokenizer
        assert np.isfinite(scored.scores[QUESTION]).all()
        assert np.isfinite(scored.scores[DRAFT]).all()
        times = [_over(engines, plan).seconds for _ in range(9)]
    ideal = _RATED / AT_ONCE * _LATENCY
    name = f"{_RATED} passages at {1000 * _LATENCY:.0f} ms latency, concurrency {AT_ONCE}, rate ÷ ideal"
    return Figure(name, ideal / statistics.median(times), 0.9, at_least=True)
