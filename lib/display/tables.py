"""Tables of tokens and of alternatives, as DataFrames."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lib.core.completion import Completion
from lib.core.tokens import TokenKind, Tokens
from lib.scores.token_scores import chosen_listed, entropy_bounds, margin, others_mass, probability

if TYPE_CHECKING:
    import pandas as pd


def table(completion: Completion) -> pd.DataFrame:
    """One row per token, prompt first. Unknown values are NaN."""
    import pandas as pd

    return pd.concat(
        [
            _frame("prompt", completion.prompt, completion.vocabulary_size),
            _frame("answer", completion.generated, completion.vocabulary_size),
        ],
        ignore_index=True,
    )


def _frame(part: str, tokens: Tokens, vocabulary_size: int | None) -> pd.DataFrame:
    import pandas as pd

    low, high = entropy_bounds(tokens, vocabulary_size)
    count = len(tokens)
    return pd.DataFrame(
        {
            "part": [part] * count,
            "position": range(1, count + 1),
            "id": pd.array([number if number >= 0 else pd.NA for number in tokens.ids.tolist()], "Int64"),
            "text": [tokens.pieces.text_of(int(ref)) for ref in tokens.refs],
            "kind": [TokenKind(kind).name.lower() for kind in tokens.kinds],
            "probability": probability(tokens),
            "logprob": tokens.logprobs.astype(float),
            "rank": pd.array([rank if rank > 0 else pd.NA for rank in tokens.ranks.tolist()], "Int64"),
            "entropy_at_least": low,
            "entropy_at_most": high,
            "margin": margin(tokens),
            "others": others_mass(tokens),
        }
    )


def alternatives(tokens: Tokens, row: int) -> pd.DataFrame:
    """The alternatives at one position, best first, including the chosen token; "others" is the last row.

    Columns: text, id, probability, logprob (nats), role ("chosen", "alternative" or "others").
    """
    import pandas as pd

    entries = [
        (int(ref), float(logprob))
        for ref, logprob in zip(tokens.top_refs[row], tokens.top_logprobs[row], strict=True)
        if ref >= 0
    ]
    own = int(tokens.refs[row])
    if not chosen_listed(tokens[row : row + 1])[0] and not math.isnan(float(tokens.logprobs[row])):
        entries.append((own, float(tokens.logprobs[row])))
    entries.sort(key=lambda entry: (math.isnan(entry[1]), -entry[1]))
    rows = [_entry(tokens, ref, logprob, "chosen" if ref == own else "alternative") for ref, logprob in entries]
    others = float(others_mass(tokens[row : row + 1])[0])
    if rows and not math.isnan(others):
        rows.append({"text": "others", "id": None, "probability": others, "logprob": None, "role": "others"})
    frame = pd.DataFrame(rows, columns=["text", "id", "probability", "logprob", "role"])
    return frame.astype({"id": "Int64", "probability": float, "logprob": float})


def _entry(tokens: Tokens, ref: int, logprob: float, role: str) -> dict[str, Any]:
    number = int(tokens.pieces.ids[ref]) if ref >= 0 else -1
    return {
        "text": tokens.pieces.text_of(ref),
        "id": number if number >= 0 else None,
        "probability": math.exp(logprob),
        "logprob": logprob,
        "role": role,
    }
