"""How long the local Bedrock waits for a client."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Time limits in seconds, and one limit on connections."""

    head: float = 10.0  # for a complete request head, from the connection's start or the first byte of a later request
    body: float = 60.0  # for a complete body
    pause: float = 10.0  # between two pieces of a body
    idle: int = 75  # between two requests; longer than clients keep their connections
    unread: float = 300.0  # for a client to read anything of a response; enough for one paused in a debugger
    half_open: int = 512  # connections per address without a complete head; half of a process's usual open files
