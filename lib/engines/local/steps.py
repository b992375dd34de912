"""The steps of all works that wait for one, computed together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.engines.local.joint_prefill import PrefillStep, fitting, read_prompts
from lib.engines.local.model_runner import DecodeStep, ModelRunner
from lib.engines.local.ticket import LATER


def run_steps(runner: ModelRunner, steps: Sequence[DecodeStep | PrefillStep]) -> list[Any]:
    """What each step waits for, in order; `LATER` for prompts that do not fit into this pass, the last ones first."""
    import torch

    found: list[Any] = [LATER] * len(steps)
    reading = [place for place, each in enumerate(steps) if isinstance(each, PrefillStep)]
    prompts = [each for each in steps if isinstance(each, PrefillStep)]
    writing = [place for place, each in enumerate(steps) if isinstance(each, DecodeStep)]
    with torch.inference_mode():
        if prompts:
            count = fitting(prompts)
            for place, answer in zip(reading, read_prompts(runner, prompts[:count]), strict=False):
                found[place] = answer
        if writing:
            decoded = runner.decode_all([each for each in steps if isinstance(each, DecodeStep)])
            for place, answer in zip(writing, decoded, strict=True):
                found[place] = answer
    return found
