"""Score items.jsonl with lm-polygraph 0.7.0: `VENV/bin/python lm_polygraph_scores.py items.jsonl scores.jsonl`.

Its estimators are called as they are, on statistics that are built from an item's tokens: logprobs of the chosen
tokens, and of the listed alternatives instead of the whole vocabulary. They measure uncertainty, so the sign is turned.
PointwiseMutualInformation is left out: its calculator reads the logits at a token's own place, one too late.
BoostedProbClaim is left out: it reads the tokens of all samples for each. FocusClaim, ClaimConditionedProbability and
TokenSAR need models from a hub.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from lm_polygraph.estimators import (
    BoostedProbSequence,
    FisherRao,
    MaximumClaimProbability,
    MaximumSequenceProbability,
    MaxTokenEntropyClaim,
    MeanTokenEntropy,
    Perplexity,
    PerplexityClaim,
    RenyiNeg,
    SelfCertainty,
)
from lm_polygraph.stat_calculators.extract_claims import Claim

SEQUENCE = (MaximumSequenceProbability(), Perplexity())
LISTED = (MeanTokenEntropy(), BoostedProbSequence(), SelfCertainty(), FisherRao(), RenyiNeg())  # need alternatives
CLAIM = (MaximumClaimProbability(), PerplexityClaim())
LISTED_CLAIM = (MaxTokenEntropyClaim(),)
FEWEST = 2  # alternatives per position without which there is no distribution


def statistics(item: dict[str, Any]) -> dict[str, Any] | None:
    """What the estimators read, of one item; None if a logprob is missing."""
    logprobs = [each["logprob"] for each in item["tokens"]]
    if not logprobs or any(each is None for each in logprobs):
        return None
    claim = Claim(claim_text="", sentence="", aligned_token_ids=list(range(len(logprobs))))
    found: dict[str, Any] = {"greedy_log_likelihoods": [np.array(logprobs)], "claims": [[claim]]}
    lists = [[(text, value) for text, value in each["top"] if value is not None] for each in item["tokens"]]
    k = min(map(len, lists))
    if k >= FEWEST:
        values = np.array([[value for _, value in each[:k]] for each in lists])
        shares = np.exp(values)
        rest = np.clip(1 - shares.sum(1), 1e-12, None)  # as one more token
        places = [
            next((at for at, (text, _) in enumerate(each[:k]) if text == token["token"]), 0)
            for each, token in zip(lists, item["tokens"], strict=True)
        ]
        found["greedy_log_probs"] = [values]
        found["greedy_tokens"] = [places]
        found["entropy"] = [-(shares * values).sum(1) - rest * np.log(rest)]
    return found


def scores(item: dict[str, Any]) -> dict[str, float]:
    """The confidence of an item by each estimator."""
    stats = statistics(item)
    if stats is None:
        return {}
    listed = "entropy" in stats
    found = {str(each): -float(each(stats)[0]) for each in (*SEQUENCE, *(LISTED if listed else ()))}
    if "value" in item:
        claims = (*CLAIM, *(LISTED_CLAIM if listed else ()))
        found |= {str(each): -float(each(stats)[0][0]) for each in claims}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def main() -> None:
    """Read items, write scores."""
    source, target = map(Path, sys.argv[1:3])
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            item = json.loads(line)
            out.write(json.dumps({"id": item["id"], **scores(item)}) + "\n")


if __name__ == "__main__":
    main()
