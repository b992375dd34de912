"""Find the tokenizer of an imported model: a given path, the import's own files, a hub id, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lib.errors import CandorError
from lib.models.hub import is_hub_id, on_disk
from lib.models.tokenizer_files import load_tokenizer
from lib.tokenizers.tokenizer import Tokenizer

NONE = "not found; tokens are shown as the service names them, or by id"


@dataclass(frozen=True)
class FoundTokenizer:
    """The tokenizer of an imported model, and where it was found."""

    tokenizer: Tokenizer | None  # None if there is none
    where: str  # in words, to complete "Tokenizer: …"
    tried: tuple[CandorError, ...] = ()  # why each more reliable place did not have it


def find_tokenizer(given: str, fetch: Callable[[], tuple[Path, str]]) -> FoundTokenizer:
    """Find the tokenizer of an imported model.

    given: a path or a hub id, "" for neither. A path precedes the import's own files, a hub id is tried after them.
    fetch: fetches the import's own files; returns (directory, S3 URI), or raises CandorError.

    Raises ModelUnavailable if there is no tokenizer at the given path. All other failures are in `tried`.
    """
    _, is_file, is_directory = on_disk(given)
    if given and (is_file or is_directory or not is_hub_id(given)):
        return FoundTokenizer(load_tokenizer(given), f"from {given}")
    tried: list[CandorError] = []
    try:
        directory, uri = fetch()
        return FoundTokenizer(load_tokenizer(directory), f"from the import, {uri}")
    except CandorError as error:
        tried.append(error)
    if given:
        try:
            return FoundTokenizer(load_tokenizer(given), f"from the hub, {given}", tuple(tried))
        except CandorError as error:
            tried.append(error)
    return FoundTokenizer(None, NONE, tuple(tried))
