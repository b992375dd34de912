"""The token map: the text of a completion, each token shaded by how confident the model was.

The other half is the JavaScript in the folder `browser`. Python computes every number, colour step and group and sends
them as columns; the browser looks up colours. While a completion grows, the browser fetches what is new (`feed.py`).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from components.shell.component_assets import component
from components.token_map.feed import Key, give_up
from components.token_map.flags import flag_part
from components.token_map.frames import SHARED, framed
from lib.display.flags import Flags
from lib.display.token_map_columns import fingerprint
from lib.display.token_map_view import PASSAGES, TokenMapView

_MIN_DEFLATED, _MAX_DEFLATED = 16_384, 1_000_000  # bytes; smaller and larger frames are sent uncompressed
_GROUPED = 5_000  # tokens up to which the groups are sent with the text
_LONG = 25_000  # tokens up to which the alternatives are sent with the text
ANSWER_FIRST = ("fold", "mute")  # for pages about answers: the prompt folded, what the chat template adds muted
_MAX_PATTERN = 2_000  # characters; the map sends no longer pattern

_mount = component("token_map", Path(__file__).parent / "browser", js="main.js", css="token_map.css")


def token_map(
    view: TokenMapView,
    *,
    key: str,
    live: bool = False,
    beside: str = "",
    shown: Sequence[str] = (),
    flags: Flags | None = None,
) -> int | None:
    """Draw the map; returns the cell that the reader pinned (index into the view's cells), or None.

    A pin is forgotten once `view` shows another completion, and comes back with the one it belongs to. Views of growing
    length under the same `key` are one growing completion: the browser appends what is new.

    live: more is coming, and the end stays in view while the reader is there.
    beside: a name shared by maps side by side. They scroll together and share metric, grouping and toggles.
    shown: names of toggles that are on until the reader changes them, such as ANSWER_FIRST.
    flags: passages to mark and list from a threshold on, which the reader moves; `chosen_threshold` returns it.
    """
    frame = _whole_frame(view, {"key": key, "beside": beside, "shown": list(shown), "live": live}, flags)
    return pinned_cell(_mounted(key, frame).pinned, view)


def growing_map(feed: Key, *, key: str, shown: Sequence[str] = ()) -> tuple[TokenMapView | None, int | None]:
    """Draw the map of a growing answer, which the browser fetches; returns the answer so far and the pinned cell.

    The fragment or page around it runs again once the job is over, or once frames turn out to be out of reach: see
    `reachable`.
    """
    options = {"key": key, "beside": "", "shown": list(shown), "live": True, "feed": feed.text}
    pinned = _mounted(key, framed(options, b"")).pinned
    done = feed.growing.completion
    if done is None:
        return None, None
    view = TokenMapView(done)
    return view, pinned_cell(pinned, view)


def _mounted(key: str, frame: bytes) -> Any:
    return _mount(
        key=key,
        data=frame,
        on_pinned_change=_ignore,
        on_asked_change=_ignore,
        on_over_change=_ignore,
        on_threshold_change=_ignore,
        on_unreachable_change=give_up,
    )


def _ignore() -> None:
    """Declare the state; without a callback Streamlit leaves it out of the result until it is first set."""


def _whole_frame(view: TokenMapView, options: dict[str, Any], flags: Flags | None) -> bytes:
    asked, tokens = asked_for(options["key"]), len(view.tokens)
    # Long texts get their colours first, then the alternatives; groups only when the browser requests them.
    whole = tokens <= _LONG or asked.whole == fingerprint(view.completion, tokens)
    passages = tokens <= _GROUPED or asked.grouping in PASSAGES
    blob = view.packed(asked.pattern, passages=passages, lists=whole)
    part, about = flag_part(view, flags)
    options |= about
    if options["live"]:
        return deflated_frame(blob + part, options, whole=whole)
    return view.framed(blob, part, lambda: deflated_frame(blob + part, options, whole=whole))


def deflated_frame(blob: bytes, options: dict[str, Any], *, whole: bool = True) -> bytes:
    """A frame, compressed unless that takes longer than it saves."""
    squeeze = _MIN_DEFLATED <= len(blob) < _MAX_DEFLATED
    options = {"live": False} | options | {"deflated": squeeze, "whole": whole, "shared": SHARED}
    return framed(options, _squeezed(blob) if squeeze else blob)


def _squeezed(blob: bytes) -> bytes:
    """Compress by Huffman coding alone: half the time, for 5 % more bytes."""
    deflate = zlib.compressobj(1, strategy=zlib.Z_HUFFMAN_ONLY)
    return deflate.compress(blob) + deflate.flush()


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
