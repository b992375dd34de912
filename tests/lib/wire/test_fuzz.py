"""A short version of `make soak`, and regressions that it found."""

from __future__ import annotations

import json
import random

import pytest

from tests.soak.wire import check, mutated
from tests.support.wire_strategies import tokenizer


@pytest.mark.parametrize("seed", range(8))
def test_mutated_responses_give_a_clear_error_or_a_sound_completion(seed: int) -> None:
    dice = random.Random(1_000_000 + seed)
    for _ in range(60):
        check(mutated(dice), dice.choice((None, tokenizer())))


_HUGE_RANK = {"choices": [{"text": "a", "prompt_logprobs": [None, {"5": {"logprob": -1, "rank": 2**70}}]}]}
_TWO_NAMES = {
    "choices": [
        {
            "text": "a",
            "token_ids": [5],
            "prompt_logprobs": [None, {"5": {"logprob": -1, "decoded_token": " a"}}],
            "logprobs": {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"a": -1}]},
        }
    ]
}


_UNKNOWN_ID = {"generation": "in the", "stop_reason": "stop", "logprobs": [{"292": -0.5}, {"193": -0.5}],
               "prompt_logprobs": [None, {"193": -0.5, "65": -0.25}]}  # fmt: skip
_UNKNOWN_NAME = {"choices": [{"text": "x", "logprobs": {"tokens": ["token_id:99999"], "token_logprobs": [-0.5]}}]}


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(_UNKNOWN_ID).encode(),
        json.dumps(_UNKNOWN_NAME).encode(),
        b'{"gen\xfferation": "x"}',
        json.dumps(_HUGE_RANK).encode(),
        json.dumps(_TWO_NAMES).encode(),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_regressions(data: bytes, known: bool) -> None:
    check(data, tokenizer() if known else None)
