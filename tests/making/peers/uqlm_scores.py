"""Score items.jsonl with uqlm 0.6.7: `VENV/bin/python uqlm_scores.py items.jsonl scores.jsonl`.

Its scorers are called as they are, and say confidence already. TopLogprobsScorer renormalizes over 15 alternatives and
is NaN unless there are exactly 15, so that many are given to it.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from uqlm.white_box.single_logprobs import SingleLogprobsScorer
from uqlm.white_box.top_logprobs import TopLogprobsScorer

K = 15
NORMALIZED, WHOLE, TOP = SingleLogprobsScorer(), SingleLogprobsScorer(length_normalize=False), TopLogprobsScorer()


def as_results(item: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The tokens in the form that uqlm reads; None if a logprob is missing."""
    if not item["tokens"] or any(each["logprob"] is None for each in item["tokens"]):
        return None
    return [
        {
            "token": each["token"],
            "logprob": each["logprob"],
            "top_logprobs": [{"token": text, "logprob": value} for text, value in each["top"][:K] if value is not None],
        }
        for each in item["tokens"]
    ]


def scores(item: dict[str, Any]) -> dict[str, float]:
    """The confidence of an item by each scorer."""
    results = as_results(item)
    if results is None:
        return {}
    found = {name: values[0] for name, values in NORMALIZED.evaluate([results]).items()}
    found["sequence_probability, not normalized"] = WHOLE.evaluate([results])["sequence_probability"][0]
    if all(len(each["top_logprobs"]) == K for each in results):
        found |= {name: values[0] for name, values in TOP.evaluate([results]).items()}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def main() -> None:
    """Read items, write scores."""
    source, target = map(Path, sys.argv[1:3])
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            item = json.loads(line)
            out.write(json.dumps({"id": item["id"], **scores(item)}) + "\n")


if __name__ == "__main__":
    main()
