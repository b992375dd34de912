"""What is checked on real passes when a model is opened: that its scores will be right, and its shortcuts exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lib.errors import ModelUnavailable

if TYPE_CHECKING:
    from lib.engines.local.model_runner import ModelRunner

_COMMON = "Choose a common text-generation model, such as Llama, Mistral or Qwen."
_UNSUPPORTED = (TypeError, AttributeError, ValueError, RuntimeError, NotImplementedError)  # a model's own refusals


def head_is_separate(runner: ModelRunner, whole: Any, ids: Any) -> bool:
    """Whether body, then head, applied to `ids` give the model's own logits `whole`."""
    import torch

    try:
        separate = runner.head(runner.body(ids, use_cache=False).last_hidden_state)
    except (TypeError, AttributeError, RuntimeError):
        return False
    # The same products in the same order: any difference beyond rounding means that logits are rescaled. Capping
    # them (x to c·tanh(x/c)) changes small ones by only x³/3c², hence the narrow bounds.
    return bool(separate.shape == whole.shape and torch.allclose(separate, whole, atol=1e-6, rtol=1e-5))


def check_causal(runner: ModelRunner, whole: Any, ids: Any) -> None:
    """The logits of the first token must not depend on the second one."""
    other = runner.model(ids.new_zeros(ids.shape), use_cache=False).logits
    if not _same(whole[0, 0], other[0, 0]):
        raise ModelUnavailable(
            f"{runner.loaded.name} is not a causal language model: it looks at later tokens to score earlier ones.",
            _COMMON,
        )


def check_cache(runner: ModelRunner, whole: Any, ids: Any) -> None:
    """Reading the tokens one by one, with a cache, must give the logits `whole` of reading both at once."""
    cache = runner.new_cache(2)
    try:
        runner.decode(ids[:, 0], cache)
        same = _same(runner.decode(ids[:, 1], cache)[0], whole[0, 1])
    except (TypeError, AttributeError, ValueError, NotImplementedError):  # it expects another kind of cache
        same = False
    if not same:
        raise ModelUnavailable(f"{runner.loaded.name} doesn't work with a standard KV cache.", _COMMON)


def joint_steps_agree(runner: ModelRunner) -> bool:
    """Whether one pass for requests of different lengths gives the same logits as a pass for each."""
    import torch

    from lib.engines.local.model_runner import DecodeStep

    def steps_after(texts: list[list[int]]) -> list[DecodeStep]:
        steps = []
        for text in texts:
            cache = runner.new_cache(len(text) + 1)
            list(runner.logit_blocks(text, cache, last_only=True))
            steps.append(DecodeStep([], torch.tensor([1], device=runner.device), cache))
        return steps

    texts = [[0], [1, 0, 1]]
    try:
        joint = runner.decode_jointly(steps_after(texts))
    except _UNSUPPORTED:
        return False
    alone = [runner.decode(step.ids, step.cache) for step in steps_after(texts)]
    return all(_same(one[0], other[0]) for one, other in zip(joint, alone, strict=True))


def packing_limit(runner: ModelRunner) -> float:
    """Tokens that a cache may hold when texts are packed; 0 if packing changes the scores.

    Beyond a layer's sliding window, the packed texts would push tokens out of each other's window.
    """
    import torch

    from lib.engines.local.sequence_packing import window

    limit = window(runner.new_cache(0))
    if not runner.separate_head or not limit:
        return 0
    shared, texts = [0, 1], [[1, 0], [0, 1, 1]]
    try:
        packed = torch.cat(list(runner.packed_blocks(shared, texts, runner.new_cache(8))))
    except _UNSUPPORTED:
        return 0
    alone = [
        runner.head(runner.body(torch.tensor([shared + text], device=runner.device)).last_hidden_state[0])
        for text in texts
    ]
    expected = torch.cat([alone[0][:2], *(rows[2:-1] for rows in alone)])
    return limit if all(_same(*rows) for rows in zip(packed, expected, strict=True)) else 0


def _same(logits: Any, others: Any) -> bool:
    """Whether two rows of logits [V] agree up to the rounding of a coarse number type."""
    return bool((logits.float() - others.float()).abs().max() <= 0.05 * logits.float().std())
