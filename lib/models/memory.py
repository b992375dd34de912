"""Available memory, and helpers around running out of it."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import psutil

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def available_memory() -> int:
    """Bytes this process may still allocate: what is free, or what a container's limit leaves."""
    free = int(psutil.virtual_memory().available)
    for limit in CGROUP_LIMITS:
        try:
            allowed = int(limit.read_text())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        free = min(free, max(allowed - psutil.Process().memory_info().rss, 0))
    return free


def lacks_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out. torch reports that as a RuntimeError, so its text decides."""
    text = str(error).lower()
    named = any(words in text for words in ("out of memory", "not enough memory", "allocate memory"))
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and named)


def give_back() -> None:
    """Return freed memory to the system.

    The C library's heap keeps freed blocks for reuse. A long prompt frees blocks that grow a little from pass to pass,
    so none fits into the gap of the previous one: after a few thousand tokens, the gaps exceed the KV cache.
    """
    if _trim is not None:
        _trim(0)


def _heap_trim() -> Any:
    """Glibc's malloc_trim; None if the C library doesn't have it."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None


_trim = _heap_trim()


def gigabytes(amount: float) -> str:
    """Format bytes: "1.2 GB", "300 MB"."""
    return f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"
