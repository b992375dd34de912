"""Which tokenizer belongs to an imported model: a path that is given, the import's own files, a hub id, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lib.errors import CandorError
from lib.models.hub import is_hub_id, on_disk
from lib.models.tokenizer_files import load_tokenizer
from lib.tokenizers.tokenizer import Tokenizer

NONE = "none: tokens are shown as the service names them, or by their ids"


@dataclass(frozen=True)
class FoundTokenizer:
    """tokenizer: None for none. where: in words, where it is from. tried: why each surer place did not have it."""

    tokenizer: Tokenizer | None
    where: str
    tried: tuple[CandorError, ...] = ()


def find_tokenizer(given: str, fetched: Callable[[], tuple[Path, str]]) -> FoundTokenizer:
    """The tokenizer of an imported model.

    given: a path or a hub id, "" for none. fetched: gives (directory, S3 URI) of the import's own files.

    Raises ModelUnavailable for a given path that holds none; whatever else fails is in `tried`.
    """
    _, is_file, is_directory = on_disk(given)
    if given and (is_file or is_directory or not is_hub_id(given)):
        return FoundTokenizer(load_tokenizer(given), f"from {given}")
    tried: list[CandorError] = []
    try:
        directory, uri = fetched()
        return FoundTokenizer(load_tokenizer(directory), f"from the import, {uri}")
    except CandorError as error:
        tried.append(error)
    if given:
        try:
            return FoundTokenizer(load_tokenizer(given), f"from the hub, {given}", tuple(tried))
        except CandorError as error:
            tried.append(error)
    return FoundTokenizer(None, NONE, tuple(tried))
