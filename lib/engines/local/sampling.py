"""Drawing the next token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_COLDEST = 1e-6  # as good as greedy: a logit that is smaller by 0.0001 has no chance left
_SHORTLIST = 512  # a nucleus is nearly always within the likeliest few hundred tokens


def choose(logits: Any, temperature: float, top_p: float, dice: Sequence[np.random.Generator]) -> Any:
    """int64[b]: one token per row of float32 logits [b, V].

    Temperature 0 takes the likeliest. Otherwise a token is drawn from softmax(logits / temperature), cut to the
    nucleus (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"): the smallest set of likeliest
    tokens whose probability reaches top_p. Row i uses dice[i] once, so samples do not depend on their neighbours.
    """
    import torch

    if temperature == 0:
        return logits.argmax(dim=-1)
    # The likeliest is moved to 0 first and the temperature kept off 0, so that nothing overflows on the way.
    scaled = (logits - logits.amax(dim=-1, keepdim=True)) / max(temperature, _COLDEST)
    throws = torch.tensor([die.random() for die in dice], dtype=torch.float64, device=logits.device)[:, None]
    if top_p >= 1:
        return _inverse(torch.softmax(scaled, dim=-1), throws)
    total = scaled.logsumexp(dim=-1, keepdim=True)
    listed, ids = scaled.topk(min(_SHORTLIST, scaled.shape[-1]), dim=-1)
    if bool(((listed - total).exp().sum(dim=-1) < top_p).any()):
        listed, ids = scaled.sort(dim=-1, descending=True)
    kept = (listed - total).exp()
    before = kept.cumsum(dim=-1) - kept
    kept = torch.where(before < top_p, kept, torch.zeros_like(kept))
    return ids.gather(1, _inverse(kept, throws)[:, None]).squeeze(1)


def _inverse(weights: Any, throws: Any) -> Any:
    """Inverse transform sampling: the first index at which the running sum exceeds throw x total."""
    import torch

    running = weights.double().cumsum(dim=-1)
    target = throws * running[:, -1:]
    return torch.searchsorted(running, target, right=True).squeeze(1).clamp_(max=weights.shape[-1] - 1)
