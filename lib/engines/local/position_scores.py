"""The model's predictions as numpy columns: logprob, rank and top-k of each position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.tokens import Tokens, make_tokens
from lib.engines.local.loading import LoadedModel


@dataclass(frozen=True, eq=False)
class PositionScores:
    """What the model predicted at r positions, one row each."""

    logprobs: NDArray[np.float32]  # [r], nats, of the token at the position; NaN = unscored
    ranks: NDArray[np.int32]  # [r], 1 + the number of tokens with a strictly larger logit; -1 = unscored
    top_ids: NDArray[np.int32]  # [r, k], ids of the most likely tokens, best first; -1 = unscored
    top_logprobs: NDArray[np.float32]  # [r, k], nats; NaN = unscored


def score(logits: Any, chosen: Any, k: int, scratch: Any = None) -> PositionScores:
    """Score each row's chosen token and list the k most likely ones.

    logits: float32 tensor [r, V].
    chosen: int64 tensor [r], the id at each position.
    scratch: float32 tensor [r, V] to write the logprobs to; None allocates one.
    """
    import torch

    listed = min(max(k, 1), logits.shape[-1])
    top, top_ids = logits.topk(listed, dim=-1)
    own = logits.gather(1, chosen[:, None])
    larger = (top > own).sum(dim=-1)
    beyond = torch.nonzero(larger == listed).flatten()
    if len(beyond):  # the token is not in the top k, so compare it with every logit
        larger[beyond] = (logits[beyond] > own[beyond]).sum(dim=-1, dtype=torch.int32).to(larger.dtype)
    # Not logits minus their logsumexp, which loses the last digits where they matter most: near certainty.
    logprobs = torch.log_softmax(logits, dim=-1, out=scratch)
    return PositionScores(
        logprobs.gather(1, chosen[:, None]).squeeze(1).cpu().numpy(),
        (larger + 1).to(torch.int32).cpu().numpy(),
        top_ids[:, :k].to(torch.int32).cpu().numpy(),
        logprobs.gather(1, top_ids[:, :k]).cpu().numpy(),
    )


def score_ids(logits: Any, ids: Sequence[int], k: int, scratch: Any = None) -> PositionScores:
    """`score` for ids in a Python sequence, one per row of logits."""
    import torch

    return score(logits, torch.tensor(list(ids), device=logits.device), k, scratch)


def unscored(rows: int, k: int) -> PositionScores:
    """Rows without scores: NaN and -1 throughout."""
    return PositionScores(
        np.full(rows, np.nan, np.float32),
        np.full(rows, -1, np.int32),
        np.full((rows, k), -1, np.int32),
        np.full((rows, k), np.nan, np.float32),
    )


def join(parts: Sequence[PositionScores]) -> PositionScores:
    """Concatenate rows."""
    return PositionScores(
        np.concatenate([part.logprobs for part in parts]),
        np.concatenate([part.ranks for part in parts]),
        np.concatenate([part.top_ids for part in parts]),
        np.concatenate([part.top_logprobs for part in parts]),
    )


def rows_of(scores: PositionScores, rows: slice, k: int | None = None) -> PositionScores:
    """A slice of the rows, with the first k alternatives of each (None = all)."""
    return PositionScores(
        scores.logprobs[rows], scores.ranks[rows], scores.top_ids[rows, :k], scores.top_logprobs[rows, :k]
    )


def scored_tokens(
    loaded: LoadedModel, ids: Sequence[int], scores: PositionScores, kinds: NDArray[np.uint8] | None = None
) -> Tokens:
    """Ids and their scores as `Tokens` on the model's own vocabulary. kinds: None = all `TokenKind.TEXT`."""
    return make_tokens(
        loaded.vocabulary.pieces,
        np.array(ids, np.int32),
        logprobs=scores.logprobs,
        ranks=scores.ranks,
        top_refs=scores.top_ids,
        top_logprobs=scores.top_logprobs,
        kinds=kinds,
    )
