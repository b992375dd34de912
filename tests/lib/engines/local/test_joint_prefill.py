"""Joint prefill: prompts that are read in one pass have the scores of a pass of their own, and no owner waits long."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.joint_prefill import MOST_TOKENS, PrefillStep, fitting
from lib.engines.local.model_runner import CHUNK, ModelRunner
from lib.engines.local.scheduler import Scheduler
from lib.engines.local.ticket import LATER
from tests.lib.engines.local.test_model_runner import check_answer
from tests.support import tiny
from tests.support.local_models import answered_together

_PACKING = {"llama", "qwen2", "qwen3", "gpt2"}
_PROMPTS = ("x" * 30 + "ab", "x" * 30 + "abcd", "x" * 30, "x" * 29 + "yzz", "q", "x" * 30 + "ab", "w" * 250)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_every_prompt_has_its_own_scores(
    architecture: str,
    random_engine: Callable[[str], LocalEngine],
    random_model: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    packed_ends = ModelRunner.packed_ends

    def counted(runner: ModelRunner, shared: Sequence[int], texts: Sequence[Sequence[int]], cache: Any) -> Any:
        sizes.append(len(texts))
        return packed_ends(runner, shared, texts, cache)

    monkeypatch.setattr(ModelRunner, "packed_ends", counted)
    engine = LocalEngine(random_engine(architecture).loaded, budget=10**9)
    try:
        requests = [
            Request(prompt=prompt, max_tokens=4, k=3, n=1 + place % 2, temperature=place % 2, prompt_scores=False)
            for place, prompt in enumerate(_PROMPTS)
        ]
        for done in answered_together(engine, requests, owners=3):
            check_answer(random_model(architecture), done)
    finally:
        engine.close()
    assert (max(sizes, default=0) > 1) == engine.runner.can_pack(CHUNK + MOST_TOKENS)
    assert architecture not in _PACKING or sizes, "this model packs"


TEXT = st.lists(st.integers(0, 1), min_size=1, max_size=MOST_TOKENS)


@given(st.lists(TEXT, min_size=1, max_size=8))
def test_a_pass_is_filled_and_not_more(texts: list[list[int]]) -> None:
    def tokens(count: int) -> int:
        shared = 0
        while all(len(each) > shared and each[shared] == texts[0][shared] for each in texts[:count]):
            shared += 1
        return shared + sum(len(each) - shared for each in texts[:count])

    count = fitting([PrefillStep([], each, 300) for each in texts])
    assert count == 1 or tokens(count) <= CHUNK
    assert count == len(texts) or tokens(count + 1) > CHUNK


def test_an_owner_with_many_prompts_does_not_hold_up_one_with_a_single() -> None:
    """Each turn has room for two steps; what does not fit waits for the next one, and is not lost."""
    order: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name, self.results = name, list[Any]()

    def two(steps: Sequence[Named]) -> list[Any]:
        order.extend(each.name for each in steps[:2])
        return [each.name if place < 2 else LATER for place, each in enumerate(steps)]

    def work(name: str) -> Generator[Any, Any, None]:
        yield [(yield Named(name))]

    scheduler = Scheduler(1_000, two)
    try:
        first = scheduler.submit(work("first"), cost=1, owner="many")
        assert list(first) == ["first"]
        order.clear()
        gate = scheduler.submit(_waits(), cost=1, owner="gate")
        many = [scheduler.submit(work(f"many {number}"), cost=1, owner="many") for number in range(6)]
        single = scheduler.submit(work("single"), cost=1, owner="single")
        next(gate)
        assert [each for ticket in (*many, single) for each in ticket] == [f"many {number}" for number in range(6)] + [
            "single"
        ]
    finally:
        scheduler.close()
    assert order.index("single") <= 2
    assert sorted(order) == sorted([*(f"many {number}" for number in range(6)), "single"])


def _waits() -> Generator[Any, Any, None]:
    import time

    time.sleep(0.2)
    yield [None]
