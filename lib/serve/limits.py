"""How long the local Bedrock waits for a client."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a connection may take, in seconds unless it says otherwise.

    head: for a complete request head, from the connection's start or from the first byte of its next request.
    body: for a whole body. pause: between two pieces of a body. idle: between two requests.
    unread: without a byte being taken of an answer that the client asked for.
    half_open: connections of one address whose request head is not complete (a count).
    """

    head: float = 10.0
    body: float = 60.0
    pause: float = 10.0
    idle: int = 75  # longer than clients keep theirs
    unread: float = 300.0  # long enough for a client that is paused in a debugger
    half_open: int = 512  # half of the files that a process may usually have open
