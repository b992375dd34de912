"""Policies as JSON files: written for people to edit, and read with every fault named."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from lib.errors import BadFile, InvalidRequest
from lib.policies.measures import MEASURES
from lib.policies.policy import LONGEST_TEXT, Action, Policy, Range, action_of, from_ranges

MOST_BYTES = 100_000  # of a policy as JSON
_KIND = "candor policy"
_VERSION = 1
_FIELDS = {"kind", "version", "name", "measure", "unit", "ranges", "missing", "texts", "note"}
_RANGE = {"action", "from", "below"}
_REMEDY = "Correct the file, or export the policy again from Doubts."


def as_json(policy: Policy) -> dict[str, Any]:
    """The policy as JSON values; `policy_of` reads them.

    A range has the values of at least "from" and below "below"; null for no such end.
    """
    ranges = [{"action": str(each.action), "from": each.low, "below": each.high} for each in policy.ranges]
    return {
        "kind": _KIND,
        "version": _VERSION,
        "name": policy.name,
        "measure": policy.measure,
        "unit": policy.about.unit,
        "ranges": ranges,
        "missing": str(policy.missing),
        "texts": {str(action): text for action, text in policy.texts},
        "note": policy.note,
    }


def policy_of(values: Any) -> Policy:
    """Read what `as_json` returned. Raises BadFile."""
    if not isinstance(values, Mapping) or values.get("kind") != _KIND:
        raise BadFile("This is not a Candor policy.", f'A policy is a JSON object with "kind": "{_KIND}".')
    if type(values.get("version")) is not int or values["version"] != _VERSION:
        raise BadFile("This version of Candor cannot read the policy.", "Update Candor.")
    unknown = sorted(set(values) - _FIELDS)
    if unknown:
        raise BadFile(f"A policy has no field “{str(unknown[0])[:80]}”.", _REMEDY)
    name, measure, note = (_text(values, each) for each in ("name", "measure", "note"))
    missing, texts = values.get("missing", str(Action.PERSON)), values.get("texts", {})
    if not isinstance(texts, Mapping) or not all(isinstance(each, str) for each in texts.values()):
        raise BadFile("The policy's “texts” is not an object of strings.", _REMEDY)
    try:
        found = from_ranges(name, measure, _ranges(values.get("ranges")))
        if (unit := values.get("unit")) not in (None, MEASURES[measure].unit):
            raise BadFile(f"The unit “{str(unit)[:80]}” is not that of the measure {measure}.", _REMEDY)
        pairs = tuple((action_of(each), text) for each, text in texts.items())
        return replace(found, missing=action_of(cast("str", missing)), texts=pairs, note=note)
    except InvalidRequest as error:
        raise BadFile(error.cause, error.remedy) from error


def policy_in(data: bytes) -> Policy:
    """Read a policy from a file. Raises BadFile."""
    if len(data) > MOST_BYTES:
        raise BadFile(f"The file is too large for a policy: {len(data):,} bytes.", f"Use at most {MOST_BYTES:,} bytes.")
    try:
        values = json.loads(data, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise BadFile("The file is not JSON.", _REMEDY) from error
    return policy_of(values)


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadFile("A field of the policy occurs twice.", "Remove one of them.")
    return found


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name, "" if name == "note" else None)
    if not isinstance(value, str):
        raise BadFile(f"The policy's “{name}” is missing or not a text.", _REMEDY)
    if len(value) > LONGEST_TEXT:
        raise BadFile(f"The policy's “{name}” has {len(value):,} characters.", f"Use at most {LONGEST_TEXT:,}.")
    return value


def _ranges(values: Any) -> list[Range]:
    if not isinstance(values, list) or not values:
        raise BadFile("The policy has no ranges.", _REMEDY)
    found = []
    for number, each in enumerate(values, 1):
        if not isinstance(each, Mapping) or not set(each) <= _RANGE or not isinstance(each.get("action"), str):
            raise BadFile(f"Range {number} is not an action with “from” and “below”.", _REMEDY)
        found.append(Range(each["action"], _end(each.get("from"), number), _end(each.get("below"), number)))
    return found


def _end(value: Any, number: int) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadFile(f"An end of range {number} is not a number.", _REMEDY)
    try:
        end = float(value)
    except OverflowError:
        end = math.inf
    if not math.isfinite(end):
        raise BadFile(f"An end of range {number} is infinite or not a number.", "Use null for an open end.")
    return end
