"""What in a prompt helped: on a model whose next token depends on the last one alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lib.core.request import Request
from lib.core.sources import LocalModel
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.jobs.batch import Batch
from lib.jobs.engine_pool import Engines
from lib.studies.ablation import AblationPlan, helped
from tests.support import tiny
from tests.support.asking import over

REQUESTS = tuple(map(Request, ("One b. Two b. End a", "b")))


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    logits = tiny.chain("ab", follow={ord("b"): ord("a")}, odds=3.0)
    directory: Path = tiny.make_markov(tmp_path_factory.mktemp("useful") / "model", logits)
    engine = LocalEngine(load(str(directory)))
    yield Engines(lambda _: engine)
    engine.close()


def test_the_part_that_matters_is_found(engines: Engines) -> None:
    """After "a" comes "b" with odds of 3; only the last part ends with that."""
    plan = AblationPlan(LocalModel("tiny"), REQUESTS, 0, "ba")
    assert [each.request.prompt for each in plan.calls()] == [
        "One b. Two b. End a",
        "b",
        "Two b. End a",
        "One b. End a",
        "One b. Two b. ",
    ]
    found = helped(plan, over(engines, *plan.calls()))
    assert found is not None
    assert found.prompts == ("One b. Two b. End a", "b")
    first, second = found.by_prompt
    assert first is not None
    assert second is not None
    assert first.generated.logprobs[0] > second.generated.logprobs[0]
    np.testing.assert_allclose(found.logprob_drops[:2], 0, atol=1e-4)
    logits = tiny.chain("ab", follow={ord("b"): ord("a")}, odds=3.0)
    rows = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert found.logprob_drops[2] == pytest.approx(rows[ord("a"), ord("b")] - rows[ord(" "), ord("b")], abs=1e-4)


def test_the_outcome_of_something_else() -> None:
    assert helped(AblationPlan(LocalModel("tiny"), REQUESTS, 0, "b"), Batch()) is None


def test_a_prompt_of_one_part_has_nothing_to_leave_out() -> None:
    assert len(AblationPlan(LocalModel("tiny"), REQUESTS, 1, "a").calls()) == 2
