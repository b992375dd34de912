"""Work around Streamlit 1.67: `ForwardMsgQueue.clear` drops only part of a fragment's unsent output.

If a fragment reruns before its last output was sent, `clear` drops the messages that carry the fragment's id.
References to cached messages and messages of nested fragments carry no such id and stay, although their container is
dropped. The frontend then fails on a path that does not exist. This patch drops them together with their container.

Seen while an answer grows on a busy machine. Only this module touches the queue.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

_FIXED = "_candor_drops_whole_fragments"


def drop_whole_fragments() -> None:
    """Patch the message queues of this process, once."""
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
    """The messages, except those inside a container that belongs to these fragments and is itself in the queue."""
    dropped = {
        tuple(message.metadata.delta_path)
        for message in queue
        if message.HasField("delta") and message.delta.fragment_id in fragments
    }
    return [message for message in queue if not _lies_within(message, dropped)]


def _lies_within(message: ForwardMsg, places: set[tuple[int, ...]]) -> bool:
    path = tuple(message.metadata.delta_path)
    return any(path[:depth] in places for depth in range(1, len(path)))
