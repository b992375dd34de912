"""Where Candor keeps what it can fetch or compute again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """`$CANDOR_CACHE`, else `candor` in the user's cache directory."""
    if chosen := os.environ.get("CANDOR_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "candor"
