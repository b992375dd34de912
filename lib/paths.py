"""Where Candor keeps what is its own."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """What can be fetched or computed again: `$CANDOR_CACHE`, else `candor` in the user's cache directory."""
    return _directory("CANDOR_CACHE", "XDG_CACHE_HOME", "~/.cache")


def data_directory() -> Path:
    """What cannot: `$CANDOR_DATA`, else `candor` in the user's data directory."""
    return _directory("CANDOR_DATA", "XDG_DATA_HOME", "~/.local/share")


def _directory(chosen: str, base: str, usual: str) -> Path:
    if own := os.environ.get(chosen):
        return Path(own).expanduser()
    return Path(os.environ.get(base) or usual).expanduser() / "candor"
