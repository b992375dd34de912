"""The JSON of an answer: alone, in a code block, or after prose that may have brackets of its own."""

from __future__ import annotations

import re

from lib.json_answers.scan import Scan, scan

_MOST_TRIED = 50  # brackets that turn out to be prose
_FENCE = re.compile(r"```[ \t]*+(?:json[a-z0-9]*+)?[ \t]*+\r?\n\s*+(?=[{\[])", re.IGNORECASE)
_BRACKET = re.compile(r"[{\[]")


def json_in(text: str) -> Scan | None:
    """The answer's first object or array; None if it has no bracket.

    Prose has brackets too, as in "[1]" or "{name}". An object counts if a key of it can be read, and an array if it
    has such an object in it. Without keys, what begins a line counts. If nothing does, the first bracket is returned.
    """
    fence = _FENCE.search(text)
    first: Scan | None = None
    at = 0
    for _ in range(_MOST_TRIED):
        bracket = _BRACKET.search(text, at)
        if bracket is None:
            break
        if fence is not None and at <= fence.end() <= bracket.start():
            return scan(text, fence.end())
        found = scan(text, bracket.start())
        if _counts(text, found):
            return found
        first = first or found
        at = found.end if found.fault is None else bracket.end()
    return first


def _counts(text: str, found: Scan) -> bool:
    if found.keys:
        return True
    begins_line = not text[text.rfind("\n", 0, found.start) + 1 : found.start].strip()
    return begins_line and (bool(found.values) or found.fault is None or found.fault.cut)
