"""Candor's own directories."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import ModelUnavailable


def cache_directory() -> Path:
    """Directory for reproducible files: `$CANDOR_CACHE`, else `candor` in the user's cache directory."""
    return _directory("CANDOR_CACHE", "XDG_CACHE_HOME", "~/.cache")


def data_directory() -> Path:
    """Directory for all other files: `$CANDOR_DATA`, else `candor` in the user's data directory."""
    return _directory("CANDOR_DATA", "XDG_DATA_HOME", "~/.local/share")


_DIRECTORIES = re.compile(r"(?<![\w:/.])(?:~?/(?:[^/\s'\"“”,:;]+/)+|[A-Za-z]:\\(?:[^\\\s'\",:;]+\\)+)")


def without_directories(text: str) -> str:
    """The message with each absolute path reduced to its last part: "…/model.gguf"."""
    return _DIRECTORIES.sub("…/", text)


@contextmanager
def writing_cache(directory: Path) -> Iterator[Path]:
    """Context for writing to a cache directory, which is created if missing.

    Turns an OSError into ModelUnavailable: no permission, a full disk, a file in place of the directory.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
    except OSError as error:
        raise ModelUnavailable(
            f"Candor's cache directory cannot be written: {error.strerror or error}.",
            "Free some space, or set CANDOR_CACHE to a directory you can write to.",
        ).with_detail(str(directory)) from error


def _directory(chosen: str, base: str, usual: str) -> Path:
    if own := os.environ.get(chosen):
        return Path(own).expanduser()
    return Path(os.environ.get(base) or usual).expanduser() / "candor"
