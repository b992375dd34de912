"""The token map: the text of a completion, each token shaded by how confident the model was.

The other half is the JavaScript in the folder `browser`. Python computes every number, colour step and group and sends
them as columns; the browser looks up colours. While a completion grows, only what may still change is sent.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from components.shell.component_assets import component
from components.token_map.frames import SHARED, framed
from lib.core.completion import Completion
from lib.display.token_map_columns import fingerprint
from lib.display.token_map_view import PASSAGES, TokenMapView

_MIN_DEFLATED, _MAX_DEFLATED = 16_384, 1_000_000  # bytes; smaller and larger frames are sent uncompressed
_GROUPED = 5_000  # tokens up to which the groups are sent with the text
_LONG = 25_000  # tokens up to which the alternatives are sent with the text
OVERLAP = 3  # frames that may be lost before everything has to be sent again
ANSWER_FIRST = ("fold", "mute")  # for pages about answers: the prompt folded, what the chat template adds muted
_MAX_PATTERN = 2_000  # characters; the map sends no longer pattern

_mount = component("token_map", Path(__file__).parent / "browser", js="token_map.js", css="token_map.css")


@dataclass(frozen=True)
class Sent:
    """The last frame of a growing completion, and the points from which a new frame may continue."""

    completion: Completion
    frame: bytes
    settled: tuple[tuple[int, int], ...]  # (number of tokens, their fingerprint) of the last frames, oldest first


def token_map(
    view: TokenMapView, *, key: str, live: bool = False, beside: str = "", shown: Sequence[str] = ()
) -> int | None:
    """Draw the map; returns the cell that the reader pinned (index into the view's cells), or None.

    A pin is forgotten once `view` shows another completion, and comes back with the one it belongs to. Views of growing
    length under the same `key` are one growing completion: the browser appends what is new.

    live: more is coming. Only what may still change is sent, and the end stays in view while the reader is there.
    beside: a name shared by maps side by side. They scroll together and share metric, grouping and toggles.
    shown: names of toggles that are on until the reader changes them, such as ANSWER_FIRST.
    """
    options = {"key": key, "beside": beside, "shown": list(shown)}
    frame = _live_frame(view.completion, key) if live else _whole_frame(view, options)
    result = _mount(
        key=key,
        data=frame,
        on_pinned_change=_ignore,
        on_asked_change=_ignore,
        on_gap_change=partial(_forget, key),
    )
    return pinned_cell(result.pinned, view)


def _ignore() -> None:
    """Declare the state; without a callback Streamlit leaves it out of the result until it is first set."""


def _forget(key: str) -> None:
    """Send everything again: the browser lacks the frames that the last one continues."""
    st.session_state.pop(f"{key}.sent", None)


def _whole_frame(view: TokenMapView, options: dict[str, Any]) -> bytes:
    key = options["key"]
    _forget(key)
    asked, tokens = asked_for(key), len(view.tokens)
    # Long texts get their colours first, then the alternatives; groups only when the browser requests them.
    whole = tokens <= _LONG or asked.whole == fingerprint(view.completion, tokens)
    passages = tokens <= _GROUPED or asked.grouping in PASSAGES
    blob = view.packed(asked.pattern, passages=passages, lists=whole)
    return view.framed(blob, lambda packed: deflated_frame(packed, options, whole=whole))


def deflated_frame(blob: bytes, options: dict[str, Any], *, whole: bool = True) -> bytes:
    """A frame, compressed unless that takes longer than it saves."""
    squeeze = _MIN_DEFLATED <= len(blob) < _MAX_DEFLATED
    options = options | {"live": False, "deflated": squeeze, "whole": whole, "shared": SHARED}
    return framed(options, _squeezed(blob) if squeeze else blob)


def _squeezed(blob: bytes) -> bytes:
    """Compress by Huffman coding alone: half the time, for 5 % more bytes."""
    deflate = zlib.compressobj(1, strategy=zlib.Z_HUFFMAN_ONLY)
    return deflate.compress(blob) + deflate.flush()


def _live_frame(done: Completion, key: str) -> bytes:
    """The tokens the browser may lack: everything after the last line that was complete OVERLAP frames ago."""
    sent: Sent | None = st.session_state.get(f"{key}.sent")
    if sent is not None and sent.completion is done:
        return sent.frame
    settled = sent.settled if sent is not None else ()
    base, before = settled[0] if len(settled) == OVERLAP else (0, 0)
    if base > len(done.prompt) + len(done.generated) or fingerprint(done, base) != before:
        base, settled = 0, ()  # another completion, or one that became shorter
    view = TokenMapView(done, base)
    options = {"key": key, "live": True, "deflated": False, "whole": True} | ({} if base else {"shared": SHARED})
    frame = framed(options, view.packed())
    settled = (*settled, (view.settled, fingerprint(done, view.settled)))[-OVERLAP:]
    st.session_state[f"{key}.sent"] = Sent(done, frame, settled)
    return frame


@dataclass(frozen=True)
class Asked:
    """What the browser requested."""

    grouping: str = ""  # name of a grouping, "" for none
    pattern: str = ""  # regular expression to group by, "" for none
    whole: int | None = None  # fingerprint of the text whose alternatives it lacks


def asked_for(key: str) -> Asked:
    """What the browser requested. It may send anything, so every value is checked."""
    state = st.session_state.get(key)
    asked = state.get("asked") if state else None
    if not isinstance(asked, dict):
        return Asked()
    grouping, pattern, whole = (asked.get(name) for name in ("grouping", "pattern", "whole"))
    return Asked(
        grouping if isinstance(grouping, str) else "",
        pattern if isinstance(pattern, str) and len(pattern) <= _MAX_PATTERN else "",
        whole if type(whole) is int else None,
    )


def pinned_cell(pinned: Any, view: TokenMapView) -> int | None:
    """The pinned cell, if `pinned` was made on this completion or on a beginning of it. It comes from the browser."""
    if not isinstance(pinned, dict):
        return None
    cell, tokens, mark = (pinned.get(name) for name in ("cell", "tokens", "fingerprint"))
    if type(cell) is not int or type(tokens) is not int:
        return None
    if not (0 <= cell < len(view) and view.tokens_of(cell).stop <= tokens <= len(view.tokens)):
        return None
    return cell if mark == fingerprint(view.completion, tokens) else None
