"""Works as turns for the scheduler."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")


def without_gradients(work: Generator[T, Any, None]) -> Generator[T, Any, None]:
    """The same turns, each in torch's inference mode, which is per thread and must not outlast a turn."""
    import torch

    answer: Any = None
    while True:
        with torch.inference_mode():
            try:
                result = work.send(answer)
            except StopIteration:
                return
        answer = yield result


def in_turns(steps: Generator[None, None, T]) -> Generator[list[Any], None, T]:
    """The steps as turns without results; returns what the steps return."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        yield []
