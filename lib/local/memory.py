"""How much memory there is, and how much a model or a request will want."""

from __future__ import annotations

from pathlib import Path

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


def gigabytes(amount: float) -> str:
    """Bytes in words: "1.2 GB", "300 MB"."""
    return f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"
