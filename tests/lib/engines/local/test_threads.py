"""Threads by kind of work: few where memory is the limit, all where the processor is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import torch

from lib.core.request import Request
from lib.engines.local import threads
from lib.engines.local.engine import LocalEngine


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("seconds", "most", "needed"),
    [
        ({1: 0.02, 2: 0.02, 4: 0.02}, 4, 1),  # bound by memory
        ({1: 0.04, 2: 0.02, 4: 0.01}, 4, 4),  # bound by the processor
        ({1: 0.04, 2: 0.02, 4: 0.02}, 4, 2),
        ({1: 0.02, 2: 0.08, 4: 0.005}, 4, 1),  # workers that wait for each other
        ({1: 0.04, 2: 0.02}, 3, 2),
        ({1: 0.02}, 1, 1),
    ],
)
def test_as_many_as_make_a_pass_faster(seconds: dict[int, float], most: int, needed: int) -> None:
    assert threads.threads_needed(lambda: time.sleep(seconds[torch.get_num_threads()]), most) == needed


def test_a_prompt_is_read_with_all_threads_and_an_answer_written_with_few(
    random_engine: Callable[[str], LocalEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(threads, "all_threads", lambda: 3)
    monkeypatch.setattr(threads, "threads_needed", lambda _, most: most - 1)
    engine = LocalEngine(random_engine("llama").loaded, budget=10**9)
    handle = engine.loaded.model.get_decoder().register_forward_pre_hook(
        lambda *_: taken.append(torch.get_num_threads())
    )
    try:
        engine.complete(Request(prompt="a prompt of more rows than a few", max_tokens=4))
        assert taken == [3, 2, 2, 2]
        taken.clear()
        engine.complete(Request(prompt="a prompt of more rows than a few, again", max_tokens=3, temperature=1.0, n=9))
        assert taken == [3, 3, 3], "many samples are many rows"
    finally:
        handle.remove()
        engine.close()
