"""Export a completion as JSON for other programs and as CSV for spreadsheets."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from lib.core.completion import Completion
from lib.core.serialization import request_as_json
from lib.core.tokens import TokenKind, Tokens
from lib.display.spreadsheet import as_csv
from lib.display.tables import table
from lib.formatting import visible


def to_json(completion: Completion) -> str:
    """The completion with ids, bytes and texts as JSON. NaN and unknown become null, -inf the string "-inf"."""
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


def to_csv(completion: Completion) -> str:
    """The table as CSV, with a column `shown` that makes spaces, line breaks and hidden characters visible."""
    frame = table(completion)
    frame.insert(frame.columns.get_loc("text") + 1, "shown", frame["text"].map(visible))
    return as_csv(frame)
