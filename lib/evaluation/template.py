"""Prompt templates: text with `{column}` where the value of a column goes, and `{{` and `}}` for braces."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from lib.core.request import check_text
from lib.errors import InvalidRequest

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def placeholders(template: str) -> tuple[str, ...]:
    """What a template has between braces, each once; see `column_of`. Raises InvalidRequest for a single brace."""
    found: dict[str, None] = {}
    for part in _PART.finditer(template):
        if part[0] in ("{", "}"):
            place = f"character {part.start() + 1}"
            raise InvalidRequest(f"The template has a single {part[0]} at {place}.", "Write {{ or }} for a brace.")
        if part[1] is not None:
            found[part[1]] = None
    return tuple(found)


def column_of(placeholder: str, there: Collection[str]) -> str:
    """The column that a placeholder names: exactly, or without the spaces around it."""
    return placeholder if placeholder in there else placeholder.strip()


def check_template(template: str, columns: Collection[str]) -> None:
    """Raise InvalidRequest if the template names a column that does not exist, or none at all."""
    check_text(template)
    named = [column_of(each, columns) for each in placeholders(template)]
    unknown = [each for each in named if each not in columns]
    if unknown:
        there = ", ".join(f"{{{each}}}" for each in columns)
        raise InvalidRequest(f"There is no column “{unknown[0]}” for {{{unknown[0]}}}.", f"There are {there}.")
    if not named:
        raise InvalidRequest("The template names no column, so every prompt would be the same.", "Add {column} to it.")


def filled(template: str, row: Mapping[str, Any]) -> str | None:
    """The prompt of a row; None if a value is missing. Values are put in as they are, braces included."""
    if any(column_of(each, row) not in row for each in placeholders(template)):
        return None

    def value(part: re.Match[str]) -> str:
        return part[0][0] if part[1] is None else as_prompt_text(row[column_of(part[1], row)])

    return _PART.sub(value, template)


def as_prompt_text(value: Any) -> str:
    """A value as text for a prompt: text as it is, lists one item per line, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False)
