"""Sequence packing: several texts in one pass, each of which sees the shared prefix and itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.kv_cache import make_cache
from lib.engines.local.loading import load
from lib.engines.local.model_runner import ModelRunner
from lib.engines.local.sequence_packing import mask_and_positions, window
from tests.support.local_models import passes_of


def test_the_attention_mask() -> None:
    """One cached token, two shared tokens, and texts of two tokens and one."""
    import torch

    mask, positions = mask_and_positions(1, 2, [2, 1], torch.float32)
    seen = ["".join("x" if value == 0 else "." for value in row) for row in mask[0, 0].tolist()]
    assert seen == ["xx....", "xxx...", "xxxx..", "xxxxx.", "xxx..x"]
    assert mask.min() == torch.finfo(torch.float32).min
    assert positions.tolist() == [[1, 2, 3, 4, 3]]


@pytest.mark.parametrize(
    ("architecture", "most"),
    [("llama", float("inf")), ("mistral", 64), ("gpt2", float("inf")), ("gemma2", 0), ("qwen3_next", 0)],
)
def test_which_models_support_packing(random_model: Callable[[str], Path], architecture: str, most: float) -> None:
    """Models that cap their logits run as a whole, and a recurrent state cannot hold several texts."""
    runner = ModelRunner(load(str(random_model(architecture))))
    assert runner.can_pack(63) == (most > 0)
    assert runner.can_pack(64) == (most > 64)


def test_the_cache_size_of_every_layer(random_model: Callable[[str], Path]) -> None:
    configs = {name: load(str(random_model(name))).model.config for name in ("llama", "mistral", "qwen3_next")}
    found = {name: window(make_cache(config, 0)) for name, config in configs.items()}
    assert found == {"llama": float("inf"), "mistral": 64, "qwen3_next": 0}


def test_a_prompt_and_its_texts_take_one_pass_and_leave_the_prompt(
    random_engine: Callable[[str], LocalEngine],
) -> None:
    engine, request = LocalEngine(random_engine("llama").loaded, budget=10**9), Request(prompt="x" * 100, k=1)
    with passes_of(engine.loaded) as lengths:
        engine.score(request, ["one", "other", "three"])
        assert lengths == [99 + 1 + 3 + 5 + 5]
        engine.score(request, ["six", "four"])
    assert lengths[1:] == [1 + 3 + 4]
    engine.close()


def test_texts_that_are_too_long_for_one_pass(
    random_engine: Callable[[str], LocalEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prompt is read first. Then texts are packed while they fit, and one that doesn't fit is read alone."""
    monkeypatch.setattr("lib.engines.local.scoring.AT_ONCE", 60)
    engine, request = random_engine("qwen2"), Request(prompt=_text(40), k=2)
    texts = [_text(length) for length in (20, 30, 100, 9, 40)]
    for text, done in zip(texts, engine.score(request, texts), strict=True):
        (alone,) = engine.score(request, [text])
        assert done.generated.ids.tolist() == alone.generated.ids.tolist()
        assert abs(done.generated.logprobs - alone.generated.logprobs).max() < 1e-4


def _text(length: int) -> str:
    """Letters without long repetitions; the first one depends on the length."""
    return "".join(chr(97 + (number * number + length) % 26) for number in range(length))
