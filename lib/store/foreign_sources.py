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
    """The details of a run without the places in its sources. Raises TypeError or ValueError for invalid details."""
    named = _named_in_file(details)
    several = details.get("questions")
    questions = several if isinstance(several, list) else []
    for about in [details.get("question"), *questions]:
        source = about.get("source") if isinstance(about, dict) else None
        if isinstance(source, dict):
            for kind in _PLACES:
                if (value := source.get(kind)) not in ("", None):
                    named.setdefault(kind, str(value)[:_MAX_PLACE])
                source[kind] = ""
    return {**details, _FROM_FILE: named} if named else details


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
