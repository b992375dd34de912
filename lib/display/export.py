"""A completion as JSON and CSV, for other programs and for spreadsheets."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import pandas as pd

from lib.core.completion import Completion
from lib.core.serialization import request_as_json
from lib.core.tokens import TokenKind, Tokens
from lib.display.spreadsheet import as_csv
from lib.formatting import visible
from lib.scores.token_scores import chosen_listed, entropy_bounds, margin, others_mass, probability


def to_json(completion: Completion) -> str:
    """Everything a reader needs, as JSON: NaN and unknown as null, -inf as the string "-inf". Ids, bytes and text."""
    document = {
        "format": "candor-completion",
        "version": 1,
        "model": completion.model,
        "request": None if completion.request is None else request_as_json(completion.request),
        "text": completion.text,
        "stop_reason": completion.stop_reason,
        "origin": completion.origin,
        "logprobs": {"unit": "nats", "scale": completion.scale, "chosen_by": completion.chosen_by},
        "vocabulary_size": completion.vocabulary_size,
        "timing_seconds": asdict(completion.timing),
        "warnings": list(completion.warnings),
        "provenance": dict(completion.provenance),
        "prompt": _rows(completion.prompt),
        "generated": _rows(completion.generated),
    }
    return json.dumps(document, ensure_ascii=True, allow_nan=False, indent=1)


def _rows(tokens: Tokens) -> list[dict[str, Any]]:
    return [_row(tokens, row) for row in range(len(tokens))]


def _row(tokens: Tokens, row: int) -> dict[str, Any]:
    listed = zip(tokens.top_refs[row], tokens.top_logprobs[row], strict=True)
    return {
        **_entry(tokens, int(tokens.refs[row]), float(tokens.logprobs[row])),
        "rank": int(tokens.ranks[row]) if tokens.ranks[row] > 0 else None,
        "kind": TokenKind(tokens.kinds[row]).name.lower(),
        "alternatives": [_entry(tokens, int(ref), float(logprob)) for ref, logprob in listed if ref >= 0],
    }


def _entry(tokens: Tokens, ref: int, logprob: float) -> dict[str, Any]:
    blob = tokens.pieces.bytes_of(ref)
    number = int(tokens.pieces.ids[ref]) if ref >= 0 else -1
    return {
        "id": number if number >= 0 else None,
        "text": blob.decode("utf-8", "backslashreplace"),
        "bytes": list(blob),
        "logprob": _finite(logprob),
    }


def _finite(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else "-inf"


def table(completion: Completion) -> pd.DataFrame:
    """One row per token, prompt first; NaN where a value is not known."""
    return pd.concat(
        [
            _frame("prompt", completion.prompt, completion.vocabulary_size),
            _frame("answer", completion.generated, completion.vocabulary_size),
        ],
        ignore_index=True,
    )


def _frame(part: str, tokens: Tokens, vocabulary_size: int | None) -> pd.DataFrame:
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


def to_csv(completion: Completion) -> str:
    """The table as CSV, with each text once more as `shown`: spaces, line breaks and hidden characters to be seen."""
    frame = table(completion)
    frame.insert(frame.columns.get_loc("text") + 1, "shown", frame["text"].map(visible))
    return as_csv(frame)


def alternatives(tokens: Tokens, row: int) -> pd.DataFrame:
    """The list at one position, best first, the chosen token added where it is not in it, and "others" last.

    Columns: text, id, probability, logprob (nats), role ("chosen", "alternative" or "others").
    """
    entries = [
        (int(ref), float(logprob))
        for ref, logprob in zip(tokens.top_refs[row], tokens.top_logprobs[row], strict=True)
        if ref >= 0
    ]
    own = int(tokens.refs[row])
    if not chosen_listed(tokens[row : row + 1])[0] and not math.isnan(float(tokens.logprobs[row])):
        entries.append((own, float(tokens.logprobs[row])))
    rows = [
        {
            "text": tokens.pieces.text_of(ref),
            "id": int(tokens.pieces.ids[ref]) if ref >= 0 and tokens.pieces.ids[ref] >= 0 else None,
            "probability": math.exp(logprob),
            "logprob": logprob,
            "role": "chosen" if ref == own else "alternative",
        }
        for ref, logprob in sorted(entries, key=lambda entry: (math.isnan(entry[1]), -entry[1]))
    ]
    others = float(others_mass(tokens[row : row + 1])[0])
    if rows and not math.isnan(others):
        rows.append({"text": "others", "id": None, "probability": others, "logprob": None, "role": "others"})
    frame = pd.DataFrame(rows, columns=["text", "id", "probability", "logprob", "role"])
    return frame.astype({"id": "Int64", "probability": float, "logprob": float})
