"""Contexts: passages scored together against one at a time, and against what a service's latency would allow."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from lib.contexts.passages import Passage
from lib.contexts.scorings import DRAFT, QUESTION
from lib.core.sources import EMBEDDED, BedrockModel
from lib.costs.ledger import Caps, Ledger
from lib.engines.bedrock import calls
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
from tests.benchmarks.engine import ENGLISH, without_end
from tests.benchmarks.report import Figure, alternated
from tests.benchmarks.serve import LATENCY, latent
from tests.support import tiny

_PASSAGES, _TOKENS, _DRAFT = 20, 150, 8
_RATED, _AT_ONCE = 50, 10
_QUESTION = "When does the museum open on Sundays?"


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    yield _rate()
    with closing(open_local("embedded")) as engine:
        plan = ContextsPlan(EMBEDDED, _QUESTION, _passages(_PASSAGES), scorings=(QUESTION,))
        name = (
            f"{_PASSAGES} passages of {_TOKENS} tokens, question likelihood ÷ one whole prompt at a time, times as fast"
        )
        yield _together(engine, plan, name, 2)
        drafts = ContextsPlan(
            EMBEDDED, _QUESTION, _passages(_PASSAGES), scorings=(DRAFT,), by=DRAFT, draft_tokens=_DRAFT
        )
        with without_end(engine):  # a draft that ends at once would measure nothing
            yield _together(engine, drafts, f"{_PASSAGES} drafts of {_DRAFT} tokens ÷ one at a time, times as fast", 3)


def _passages(count: int) -> tuple[Passage, ...]:
    """Passages that begin differently, so that no prefix is shared, each of about as many tokens."""
    tokenizer = load_tokenizer("embedded")
    ids = tokenizer.encode(ENGLISH * 10)[:_TOKENS]
    text = tokenizer.vocabulary.decode(ids)
    return tuple(Passage(str(each), f"{each * 37} {text}") for each in range(count))


def _together(engine: LocalEngine, plan: ContextsPlan, name: str, goal: float) -> Figure:
    engines = Engines(lambda _: engine)
    requests = [replace(each.request, scores_from=0) for each in plan.calls()]  # whole prompts, as anyone would ask

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
    """The local Bedrock is a process of its own and its model tiny, so that the set latency is what takes time."""
    with tempfile.TemporaryDirectory() as folder, patch.object(calls, "AT_ONCE", _AT_ONCE):
        directory = tiny.make_random(Path(folder) / "tiny", "llama")
        tokenizer = load_tokenizer(str(directory))
        text = tokenizer.vocabulary.decode(tokenizer.encode(ENGLISH * 10)[:_TOKENS])
        passages = tuple(Passage(str(each), f"{each} {text}") for each in range(_RATED))
        with latent(directory) as served, closing(served):
            model = BedrockModel(served.arn(), endpoint=served.url, form="OPENAI")
            client = served.client(pool=_AT_ONCE)
            engine = BedrockEngine(model, tokenizer, client=client, ledger=Ledger(Caps(None, None)))
            engines = Engines(lambda _: engine)
            plan = ContextsPlan(model, "When?", passages, scorings=(QUESTION, DRAFT), draft_tokens=2, k=1)
            scored = scored_of(plan, _over(engines, plan))  # connections, tokenizer
            assert np.isfinite(scored.scores[QUESTION]).all()
            assert np.isfinite(scored.scores[DRAFT]).all()
            times = [_over(engines, plan).seconds for _ in range(9)]
    ideal = _RATED / _AT_ONCE * LATENCY
    name = f"local Bedrock, {_RATED} passages at {1000 * LATENCY:.0f} ms, concurrency {_AT_ONCE}, rate ÷ ideal"
    return Figure(name, ideal / statistics.median(times), 0.9, at_least=True)
