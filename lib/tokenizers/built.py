"""A tokenizer built from files, and how its JSON files are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lib.errors import ModelUnavailable
from lib.tokenizers.vocabulary import Vocabulary


@dataclass(frozen=True)
class Template:
    """A chat template."""

    source: str  # Jinja
    names: Mapping[str, str]  # special tokens by the template's variables, such as bos_token


@dataclass(frozen=True, eq=False)
class Built:
    """A tokenizer in this process."""

    vocabulary: Vocabulary
    encode: Callable[[str], list[int]]  # IDs of a text; recognises special tokens in it, adds none
    prefix: tuple[int, ...] = ()  # IDs that the model's configuration puts before a raw prompt
    bos: int | None = None  # beginning-of-sequence ID; None if there is none
    eos: int | None = None  # end-of-sequence ID; None if the files name none
    template: Template | None = None
    backend: Any = None  # a `tokenizers.Tokenizer`; None for other kinds, which have `spans`
    spans: Callable[[str], list[tuple[int, int]]] | None = None  # (start, end) in characters of each ID of `encode`
    context: int | None = None  # tokens that the model takes, as tokenizer_config.json says; None if it doesn't


def json_object(data: bytes | None) -> Mapping[str, Any]:
    """Parse a JSON object; empty if the data isn't one."""
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def token_text(entry: Any) -> str | None:
    """The text of a token in a configuration, which is a string or an object with "content"."""
    if isinstance(entry, dict):
        entry = entry.get("content")
    return entry if isinstance(entry, str) else None


def added_tokens(files: Mapping[str, bytes]) -> dict[str, int]:
    """Tokens added to a vocabulary by added_tokens.json and tokenizer_config.json: IDs by name."""
    found = {
        name: number for name, number in json_object(files.get("added_tokens.json")).items() if type(number) is int
    }
    listed = json_object(files.get("tokenizer_config.json")).get("added_tokens_decoder")
    for number, entry in listed.items() if isinstance(listed, dict) else ():
        if (name := token_text(entry)) is not None and number.isdecimal() and len(number) < 10:
            found[name] = int(number)
    return found


def unreadable(name: str) -> ModelUnavailable:
    """The error of a file that holds no tokenizer. name: of the file."""
    return ModelUnavailable(
        f"{name} cannot be read as a tokenizer.", "Use the model's own tokenizer.json or tokenizer.model."
    )
