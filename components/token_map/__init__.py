"""The token map: the text of a completion, every token tinted by how sure the model was of it.

The other half is the JavaScript in the folder `browser`. Python works out every number, step and group and sends them
as columns; the browser looks colours up. While a completion grows, only what may still change is sent.
"""

from __future__ import annotations

import zlib
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

_SHORT = 16_384  # bytes
_VERY_LONG = 1_000_000  # bytes
_GROUPED = 5_000  # tokens up to which the groups come along with the text
_LONG = 25_000  # tokens
_OVERLAP = 3  # frames that may be lost on the way before everything has to be sent again
_LONGEST_PATTERN = 2_000  # characters; what is longer did not come from the map

_mount = component("token_map", Path(__file__).parent / "browser", js="token_map.js", css="token_map.css")


@dataclass(frozen=True)
class _Sent:
    """The last frame of a growing completion, and from where on those before it may be continued."""

    completion: Completion
    frame: bytes
    settled: tuple[tuple[int, int], ...]  # (tokens, their fingerprint), the oldest first


def token_map(view: TokenMapView, *, key: str, live: bool = False, beside: str = "") -> int | None:
    """Draw the map; returns the cell the reader pinned (index into view cells), or None.

    A pin is forgotten once `view` shows another completion, and comes back with the one it belongs to. Longer and
    longer views under the same `key` are one growing completion: the browser appends what is new. `live` says that
    more is coming; then only what may still change is sent, and the end is kept in sight while the reader is there.
    `beside` is common to maps that are read side by side: they scroll together, and are coloured by the same.
    """
    frame = _live_frame(view.completion, key) if live else _whole_frame(view, key, beside)
    result = _mount(
        key=key,
        data=frame,
        on_pinned_change=_ignore,
        on_asked_change=_ignore,
        on_gap_change=partial(_forget, key),
    )
    return _pinned_cell(result.pinned, view)


def _ignore() -> None:
    """Declare the state; without a callback Streamlit leaves it out of the result until it is first set."""


def _forget(key: str) -> None:
    """The browser has not got what the last frame continues."""
    st.session_state.pop(f"{key}.sent", None)


def _whole_frame(view: TokenMapView, key: str, beside: str) -> bytes:
    _forget(key)
    asked, tokens = _asked(key), len(view.tokens)
    # Of a very long text the colours come first and then the alternatives; groups of a long one when somebody asks.
    whole = tokens <= _LONG or asked.whole == fingerprint(view.completion, tokens)
    passages = tokens <= _GROUPED or asked.grouping in PASSAGES
    blob = view.packed(asked.pattern, passages=passages, lists=whole)
    return view.framed(blob, lambda packed: _deflated(packed, key, beside, whole=whole))


def _deflated(blob: bytes, key: str, beside: str = "", *, whole: bool = True) -> bytes:
    """A frame, deflated unless that takes longer than it saves: a very long text is sent as it is."""
    deflated = _SHORT <= len(blob) < _VERY_LONG
    options = {
        "key": key, "beside": beside, "live": False, "deflated": deflated, "whole": whole, "shared": SHARED,
    }  # fmt: skip
    return framed(options, _squeezed(blob) if deflated else blob)


def _squeezed(blob: bytes) -> bytes:
    """Deflated without looking for repetitions: half the time, for a twentieth more bytes."""
    deflate = zlib.compressobj(1, strategy=zlib.Z_HUFFMAN_ONLY)
    return deflate.compress(blob) + deflate.flush()


def _live_frame(done: Completion, key: str) -> bytes:
    """What the browser may not have yet: all tokens from the last line on that was complete some frames ago."""
    sent: _Sent | None = st.session_state.get(f"{key}.sent")
    if sent is not None and sent.completion is done:
        return sent.frame
    settled = sent.settled if sent is not None else ()
    base, before = settled[0] if len(settled) == _OVERLAP else (0, 0)
    if base > len(done.prompt) + len(done.generated) or fingerprint(done, base) != before:
        base, settled = 0, ()  # another completion, or one that was taken back
    view = TokenMapView(done, base)
    options = {"key": key, "live": True, "deflated": False, "whole": True} | ({} if base else {"shared": SHARED})
    frame = framed(options, view.packed())
    settled = (*settled, (view.settled, fingerprint(done, view.settled)))[-_OVERLAP:]
    st.session_state[f"{key}.sent"] = _Sent(done, frame, settled)
    return frame


@dataclass(frozen=True)
class _Asked:
    """What the browser asked for: a grouping, an expression to group by, all of the text with that fingerprint."""

    grouping: str = ""
    pattern: str = ""
    whole: int | None = None


def _asked(key: str) -> _Asked:
    """What the browser asked for. It may have said anything."""
    state = st.session_state.get(key)
    asked = state.get("asked") if state else None
    if not isinstance(asked, dict):
        return _Asked()
    grouping, pattern, whole = (asked.get(name) for name in ("grouping", "pattern", "whole"))
    return _Asked(
        grouping if isinstance(grouping, str) else "",
        pattern if isinstance(pattern, str) and len(pattern) <= _LONGEST_PATTERN else "",
        whole if type(whole) is int else None,
    )


def _pinned_cell(pinned: Any, view: TokenMapView) -> int | None:
    """The pinned cell, if `pinned` was made on this completion or on a beginning of it. It comes from the browser."""
    if not isinstance(pinned, dict):
        return None
    cell, tokens, mark = (pinned.get(name) for name in ("cell", "tokens", "fingerprint"))
    if type(cell) is not int or type(tokens) is not int:
        return None
    if not (0 <= cell < len(view) and view.tokens_of(cell).stop <= tokens <= len(view.tokens)):
        return None
    return cell if mark == fingerprint(view.completion, tokens) else None
