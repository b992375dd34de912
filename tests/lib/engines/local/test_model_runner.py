"""Every score equals what a plain transformers pass over the same tokens gives, for many architectures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.core.tokens import Tokens
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.engines.local.model_runner import AT_ONCE, CHUNK, ModelRunner
from lib.engines.local.position_scores import score
from lib.errors import ModelUnavailable
from tests.support import tiny

_LETTERS = "".join(chr(97 + number) for number in np.random.default_rng(0).integers(0, 26, 1600))
EngineOf = Callable[[str], LocalEngine]


@cache
def _plain_model(directory: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager").eval()


def _plain(directory: Path, ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """(logits, logprobs), float32[n, V] each, from one pass without a cache."""
    with torch.inference_mode():
        logits = _plain_model(directory)(torch.tensor([ids])).logits[0].float()
        return logits.numpy(), logits.log_softmax(-1).numpy()


def _check(tokens: Tokens, logits: np.ndarray, logprobs: np.ndarray) -> None:
    """Compare row i of the tokens with row i of the logits, which predicts it."""
    rows = np.arange(len(tokens))
    own = logits[rows, tokens.ids]
    np.testing.assert_allclose(tokens.logprobs, logprobs[rows, tokens.ids], atol=1e-4)
    lowest = 1 + (logits > own[:, None] + 1e-4).sum(1)  # logits closer than that may swap ranks
    highest = 1 + (logits > own[:, None] - 1e-4).sum(1)
    assert (lowest <= tokens.ranks).all()
    assert (tokens.ranks <= highest).all()
    best = -np.sort(-logprobs, axis=1)[:, : tokens.k]
    np.testing.assert_allclose(tokens.top_logprobs, best, atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(logprobs, tokens.top_ids, 1), best, atol=1e-4)


def check_all(directory: Path, completion: Completion) -> None:
    ids = [*completion.prompt.ids.tolist(), *completion.generated.ids.tolist()]
    logits, logprobs = _plain(directory, ids)
    prompt = len(completion.prompt)
    assert np.isnan(completion.prompt.logprobs[0])
    assert completion.prompt.ranks[0] == -1
    _check(completion.prompt[1:], logits[: prompt - 1], logprobs[: prompt - 1])
    check_answer(directory, completion)


def check_answer(directory: Path, completion: Completion) -> None:
    ids = [*completion.prompt.ids.tolist(), *completion.generated.ids.tolist()]
    logits, logprobs = _plain(directory, ids)
    prompt, written = len(completion.prompt), len(completion.generated)
    _check(completion.generated, logits[prompt - 1 :][:written], logprobs[prompt - 1 :][:written])


@pytest.mark.parametrize("k", [0, 1, 20])
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_prompt_and_answer_are_scored_as_by_a_plain_pass(
    random_engine: EngineOf, random_model: Callable[[str], Path], architecture: str, k: int
) -> None:
    request = Request(prompt=_LETTERS[:200], max_tokens=8, temperature=1.0, seed=k, k=k)
    (completion,) = random_engine(architecture).complete(request)
    assert completion.prompt.k == completion.generated.k == k
    assert len(completion.generated) == 8 or completion.stop_reason == "stop"
    assert completion.vocabulary_size == tiny.VOCABULARY
    check_all(random_model(architecture), completion)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_samples_of_a_batch_are_scored_as_by_a_plain_pass(
    random_engine: EngineOf, random_model: Callable[[str], Path], architecture: str
) -> None:
    request = Request(prompt=_LETTERS[:90], max_tokens=12, temperature=1.0, seed=3, n=4)
    for completion in random_engine(architecture).complete(request):
        check_all(random_model(architecture), completion)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_candidates_are_scored_as_by_a_plain_pass(
    random_engine: EngineOf, random_model: Callable[[str], Path], architecture: str
) -> None:
    texts = [_LETTERS[500:660], _LETTERS[600:], "é∞"]
    for completion in random_engine(architecture).score(Request(prompt=_LETTERS[:500], k=7), texts):
        check_all(random_model(architecture), completion)


@pytest.mark.parametrize("length", [1, 2, 127, 128, 129, 1023, 1024, 1025, 1536, 1537])
@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma2", "gpt2"])
def test_boundaries_between_chunks_do_not_change_scores(
    random_engine: EngineOf, random_model: Callable[[str], Path], architecture: str, length: int
) -> None:
    assert (AT_ONCE, CHUNK) == (1024, 512)  # or the lengths above test nothing
    (completion,) = random_engine(architecture).complete(Request(prompt=_LETTERS[:length], max_tokens=2))
    assert len(completion.prompt) == length
    check_all(random_model(architecture), completion)


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "qwen3_next"])
def test_an_unscored_prompt_gives_the_same_answer(random_engine: EngineOf, architecture: str) -> None:
    request = {"prompt": _LETTERS[:600], "max_tokens": 6, "k": 3}
    (scored,) = random_engine(architecture).complete(Request(**request))
    (unscored,) = random_engine(architecture).complete(Request(**request, prompt_scores=False))
    assert unscored.prompt.ids.tolist() == scored.prompt.ids.tolist()
    assert np.isnan(unscored.prompt.logprobs).all()
    assert (unscored.prompt.ranks == -1).all()
    assert (unscored.prompt.top_ids == -1).all()
    assert unscored.generated.ids.tolist() == scored.generated.ids.tolist()
    np.testing.assert_allclose(unscored.generated.logprobs, scored.generated.logprobs, atol=1e-5)


@pytest.mark.parametrize("first", [1, 129, 512, 513, 1099, 1100])
@pytest.mark.parametrize("architecture", ["llama", "qwen3_next"])
def test_scores_from_a_place_on_are_those_of_the_whole_prompt(
    random_engine: EngineOf, architecture: str, first: int
) -> None:
    engine, request = random_engine(architecture), Request(prompt=_LETTERS[:1100], max_tokens=2, k=3)
    (whole,) = engine.complete(request)
    (part,) = engine.complete(replace(request, scores_from=first))
    assert np.isnan(part.prompt.logprobs[:first]).all()
    assert (part.prompt.top_ids[:first] == -1).all()
    np.testing.assert_allclose(part.prompt.logprobs[first:], whole.prompt.logprobs[first:], atol=1e-4)
    assert part.prompt.ranks[max(first, 1) :].min(initial=1) >= 1
    assert part.generated.ids.tolist() == whole.generated.ids.tolist()


def test_scores_begin_with_the_token_that_holds_the_place(tiny_engine: LocalEngine) -> None:
    """In a chat, the place is within the last message, wherever the template puts it."""
    messages = (Message("user", "ab"), Message("assistant", "cd"), Message("user", "  ab where is it?"))
    (done,) = tiny_engine.complete(Request(messages=messages, max_tokens=1, scores_from=5))
    scored = ~np.isnan(done.prompt.logprobs)
    pieces = done.pieces
    text = b"".join(pieces.bytes_of(int(ref)) for ref in done.prompt.refs[scored]).decode()
    assert text.startswith("where is it?")
    assert scored.argmax() == len(scored) - scored.sum() > 0
    (straddling,) = tiny_engine.complete(Request(prompt="aé b", max_tokens=0, scores_from=2))
    assert not np.isnan(straddling.prompt.logprobs[-2:]).any()
    (beyond,) = tiny_engine.complete(Request(prompt="aé b", max_tokens=1, scores_from=10**6))
    assert np.isnan(beyond.prompt.logprobs).all()
    assert len(beyond.generated) == 1


def test_a_token_outside_the_list_keeps_its_true_rank(random_engine: EngineOf) -> None:
    (completion,) = random_engine("llama").complete(Request(prompt=_LETTERS[:200], max_tokens=0, k=1))
    prompt = completion.prompt[1:]
    outside = prompt.top_ids[:, 0] != prompt.ids
    assert outside.mean() > 0.9
    assert (prompt.ranks[outside] > 1).all()
    assert (prompt.ranks[~outside] == 1).all()
    assert prompt.ranks.max() > 100


def test_equal_logits_share_the_better_rank() -> None:
    logits = torch.tensor([[1.0, 3.0, 3.0, 3.0, 2.0, 0.0]])
    for token, rank in ((0, 5), (1, 1), (2, 1), (3, 1), (4, 4), (5, 6)):
        for k in (0, 1, 2, 6):
            assert score(logits, torch.tensor([token]), k).ranks.tolist() == [rank]


def test_logprobs_near_certainty_keep_their_digits() -> None:
    """Logits of 20 are accurate only to 2e-6; subtracting their logsumexp would leave an error of that size."""
    logits = torch.full((1, 49152), 0.0)
    logits[0, 7] = 24.0
    exact = -np.log1p(49151 * np.exp(-24.0))
    found = score(logits, torch.tensor([7]), 1)
    assert found.logprobs[0] == pytest.approx(exact, abs=2e-7)
    assert found.top_logprobs[0, 0] == found.logprobs[0]


@pytest.mark.parametrize(("architecture", "apart"), [("llama", True), ("gemma2", False), ("cohere", False)])
def test_logits_that_are_rescaled_after_the_head_are_detected(
    random_engine: EngineOf, architecture: str, apart: bool
) -> None:
    assert random_engine(architecture).runner.separate_head is apart


def test_a_cap_is_detected_on_small_logits(tmp_path: Path) -> None:
    loaded = load(str(tiny.make_random(tmp_path / "even", "gemma2", sharp=2.0, final_logit_softcapping=30.0)))
    with torch.inference_mode():
        assert loaded.model(torch.tensor([[0, 1]])).logits.abs().max() < 3
    assert not ModelRunner(loaded).separate_head


def test_a_model_that_looks_ahead_is_refused(tmp_path: Path) -> None:
    values = {"vocab_size": tiny.VOCABULARY, "hidden_size": 32, "intermediate_size": 48}
    shape = {"num_hidden_layers": 2, "num_attention_heads": 4}
    loaded = load(str(tiny.make_random(tmp_path / "masked", "bert", **values, **shape)))
    with pytest.raises(ModelUnavailable, match="later tokens") as raised:
        ModelRunner(loaded)
    assert "masked" in raised.value.cause
    assert "Llama" in raised.value.remedy


def test_a_model_that_ignores_its_cache_is_refused(tmp_path: Path) -> None:
    values = {"vocab_size": tiny.VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}
    loaded = load(str(tiny.make_random(tmp_path / "state", "mamba", **values)))
    with pytest.raises(ModelUnavailable, match="standard KV cache"):
        ModelRunner(loaded)


def test_bfloat16_gives_nearly_the_same_scores(random_engine: EngineOf, random_model: Callable[[str], Path]) -> None:
    engine = LocalEngine(load(str(random_model("llama")), dtype="bfloat16"), budget=10**9)
    try:
        request = Request(prompt=_LETTERS[:150], max_tokens=0)
        (coarse,), (fine,) = engine.complete(request), random_engine("llama").complete(request)
        assert coarse.prompt.logprobs.dtype == np.float32
        assert dict(coarse.provenance)["dtype"] == "bfloat16"
        np.testing.assert_allclose(coarse.prompt.logprobs, fine.prompt.logprobs, atol=0.3)
        assert not np.array_equal(coarse.prompt.logprobs, fine.prompt.logprobs, equal_nan=True)
    finally:
        engine.close()
