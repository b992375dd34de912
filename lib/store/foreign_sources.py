"""Runs from files: their sources lose what says where to connect, as whom, and what to read.

What the file named is noted in the details of the run, to be shown as a warning.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lib.store.run import Answer

_PLACES = ("endpoint", "profile", "tokenizer")
_FROM_FILE = "from_file"
_MAX_PLACE = 300  # characters


def without_places(details: dict[str, Any]) -> dict[str, Any]:
    """The details of a run without the places in its sources, however deep. Raises TypeError or ValueError."""
    named = _named_in_file(details)
    left: list[Any] = [details]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            left += each.values()
            if "arn" in each:
                _clear(each, named)
    return {**details, _FROM_FILE: named} if named else details


def _clear(source: dict[str, Any], named: dict[str, str]) -> None:
    for kind in _PLACES:
        if (value := source.get(kind)) not in ("", None):
            named.setdefault(kind, str(value)[:_MAX_PLACE])
        source[kind] = ""


def with_warnings(answers: tuple[Answer, ...], details: dict[str, Any]) -> tuple[Answer, ...]:
    """The answers of a run, with a warning for each place that its file named."""
    warnings = tuple(
        f"The file of this run names the {kind} {value!r}. It is not used."
        for kind, value in _named_in_file(details).items()
    )
    if not warnings:
        return answers
    return tuple(
        each
        if each.completion is None
        else replace(each, completion=replace(each.completion, warnings=(*each.completion.warnings, *warnings)))
        for each in answers
    )


def _named_in_file(details: dict[str, Any]) -> dict[str, str]:
    found = details.get(_FROM_FILE)
    pairs = found.items() if isinstance(found, dict) else ()
    return {kind: str(value)[:_MAX_PLACE] for kind, value in pairs if kind in _PLACES}
