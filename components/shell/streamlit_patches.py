"""A fix of Streamlit's: what it drops of a fragment that runs again, it drops as a whole.

When a fragment runs again before the browser was sent what its last run drew, Streamlit drops that. It tells what
belongs to a fragment by an id that messages carry; but those that only name something which the browser has in its
cache, and those of a fragment inside the fragment, do not carry it and stay. Their place is then missing in the page,
and a browser that hears of a place that is not there gives the page up. Here they go with the container they stand in.

Seen with Streamlit 1.67 while an answer grows and the machine is busy. This is the one place that touches the queue.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

_FIXED = "_candor_drops_whole_fragments"


def drop_whole_fragments() -> None:
    """Fix the queues of this process, once."""
    if getattr(ForwardMsgQueue, _FIXED, False):
        return
    clear = ForwardMsgQueue.clear

    @wraps(clear)
    def fixed(self: Any, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: list[str] | None = None) -> None:
        if retain_lifecycle_msgs and fragment_ids_this_run:
            self._queue = _without_orphans(self._queue, frozenset(fragment_ids_this_run))
        clear(self, retain_lifecycle_msgs, fragment_ids_this_run)

    ForwardMsgQueue.clear = fixed  # type: ignore[method-assign]
    setattr(ForwardMsgQueue, _FIXED, True)


def _without_orphans(queue: list[ForwardMsg], fragments: frozenset[str]) -> list[ForwardMsg]:
    """The messages without those for a place inside a container of these fragments that is in the queue itself."""
    dropped = {
        tuple(message.metadata.delta_path)
        for message in queue
        if message.HasField("delta") and message.delta.fragment_id in fragments
    }
    return [message for message in queue if not _lies_within(message, dropped)]


def _lies_within(message: ForwardMsg, places: set[tuple[int, ...]]) -> bool:
    path = tuple(message.metadata.delta_path)
    return any(path[:depth] in places for depth in range(1, len(path)))
