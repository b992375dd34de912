"""How much memory there is, and how much a model or a request will want."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import psutil

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def available_memory() -> int:
    """Bytes this process may still take: what is free, or what a container's limit leaves."""
    free = int(psutil.virtual_memory().available)
    for limit in _LIMITS:
        try:
            allowed = int(limit.read_text())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        free = min(free, max(allowed - psutil.Process().memory_info().rss, 0))
    return free


def lacks_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out. torch says so in the text of a RuntimeError only."""
    text = str(error).lower()
    said = any(words in text for words in ("out of memory", "not enough memory", "allocate memory"))
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and said)


def give_back() -> None:
    """Return freed memory to the system.

    The C library's heap keeps what was freed for later. A long prompt frees blocks that grow a little from pass to
    pass, and none fits into the gap that the one before left: after a few thousand tokens the gaps exceed the cache.
    """
    if _trim is not None:
        _trim(0)


def _heap_trim() -> Any:
    """Glibc's malloc_trim; None where the C library has no such thing."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None


_trim = _heap_trim()


def gigabytes(amount: float) -> str:
    """Bytes in words: "1.2 GB", "300 MB"."""
    return f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"
