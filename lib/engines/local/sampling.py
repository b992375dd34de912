"""Sample the next token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_MIN_TEMPERATURE = 1e-6  # as good as greedy: a logit that is lower by 0.0001 has no chance left
_SHORTLIST = 512  # a nucleus nearly always fits into the few hundred most likely tokens


def choose(logits: Any, temperature: float, top_p: float, rngs: Sequence[np.random.Generator]) -> Any:
    """Sample one token per row of float32 logits [b, V]; returns int64 [b].

    Temperature 0 takes the most likely token. Otherwise the token is sampled from softmax(logits / temperature),
    restricted to the nucleus (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"): the smallest set
    of most likely tokens whose probability reaches top_p.

    rngs: one per row, used once each, so that samples do not depend on the other rows.
    """
    import torch

    if temperature == 0:
        return logits.argmax(dim=-1)
    # Shifting the maximum to 0 first and keeping the temperature off 0 prevents overflow.
    scaled = (logits - logits.amax(dim=-1, keepdim=True)) / max(temperature, _MIN_TEMPERATURE)
    uniforms = torch.tensor([rng.random() for rng in rngs], dtype=torch.float64, device=logits.device)[:, None]
    if top_p >= 1:
        return _inverse(torch.softmax(scaled, dim=-1), uniforms)
    total = scaled.logsumexp(dim=-1, keepdim=True)
    listed, ids = scaled.topk(min(_SHORTLIST, scaled.shape[-1]), dim=-1)
    if bool(((listed - total).exp().sum(dim=-1) < top_p).any()):
        listed, ids = scaled.sort(dim=-1, descending=True)
    weights = (listed - total).exp()
    before = weights.cumsum(dim=-1) - weights
    weights = torch.where(before < top_p, weights, torch.zeros_like(weights))
    return ids.gather(1, _inverse(weights, uniforms)[:, None]).squeeze(1)


def _inverse(weights: Any, uniforms: Any) -> Any:
    """Inverse transform sampling: the first index at which the cumulative weight exceeds uniform x total."""
    import torch

    cumulative = weights.double().cumsum(dim=-1)
    target = uniforms * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True).squeeze(1).clamp_(max=weights.shape[-1] - 1)
