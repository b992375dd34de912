"""Change responses as faults and relays do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lib.core.tokens import Tokens
from lib.serve.faults import Fault
from lib.wire.encode import without_nulls


def mutated(response: dict[str, Any], faults: Mapping[str, Fault]) -> dict[str, Any]:
    """A response or chunk after the faults that change its keys."""
    if "trimmed" in faults:
        response = without_nulls(response)
    if (fault := faults.get("missing")) is not None:
        response = _without(response, fault.field)
    if (fault := faults.get("sorted")) is not None:
        response = _sorted(response, numbers=fault.order == "numbers")
    return response


def _without(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: _without(each, key) for name, each in value.items() if name != key}
    return [_without(each, key) for each in value] if isinstance(value, list) else value


def _sorted(value: Any, *, numbers: bool) -> Any:
    if isinstance(value, list):
        return [_sorted(each, numbers=numbers) for each in value]
    if not isinstance(value, dict):
        return value
    numeric = numbers and all(name.isdecimal() for name in value)
    ordered = sorted(value.items(), key=lambda pair: int(pair[0]) if numeric else pair[0])
    return {name: _sorted(each, numbers=numbers) for name, each in ordered}


def without_score(tokens: Tokens, position: int) -> Tokens:
    """The tokens, with probability 0 for the one at that position, if there is one."""
    if not 0 <= position < len(tokens):
        return tokens
    logprobs = tokens.logprobs.copy()
    logprobs[position] = -np.inf
    return replace(tokens, logprobs=logprobs)


def truncate_top(tokens: Tokens, k: int) -> Tokens:
    """The tokens with at most k alternatives each."""
    return replace(tokens, top_refs=tokens.top_refs[:, :k], top_logprobs=tokens.top_logprobs[:, :k])
