"""The token map: the text of a completion, every token tinted by how sure the model was of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import streamlit as st

from lib.packed import unpack
from lib.view import View

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "candor_token_map",
    css=(_HERE / "token_map.css").read_text(encoding="utf-8"),
    js=(_HERE / "token_map.js").read_text(encoding="utf-8"),
)


def token_map(view: View, *, key: str, live: bool = False) -> int | None:
    """Draw the map; returns the cell the reader pinned (index into view cells), or None.

    A pin is forgotten once `view` shows another completion, and comes back with the one it belongs to. Longer and
    longer views under the same `key` are one growing completion: the browser appends what is new. `live` says that
    more is coming, and keeps the end in sight while the reader is there.
    """
    blob = view.packed()
    result = _mount(key=key, data=_framed({"key": key, "live": live}, blob), on_pinned_change=_ignore)
    return _pinned_cell(result.pinned, view, blob)


def _ignore() -> None:
    """Declare the state; without a callback Streamlit leaves it out of the result until it is first set."""


def _framed(options: dict[str, Any], blob: bytes) -> bytes:
    """A u32 length, that many bytes of JSON, the blob. As bytes at the top level, data costs the server least."""
    head = json.dumps(options).encode()
    return b"".join([len(head).to_bytes(4, "little"), head, blob])


def _pinned_cell(pinned: Any, view: View, blob: bytes) -> int | None:
    """The pinned cell, if `pinned` was made on this completion or on a beginning of it. It comes from the browser."""
    if not isinstance(pinned, dict):
        return None
    cell, tokens, fingerprint = (pinned.get(name) for name in ("cell", "tokens", "fingerprint"))
    if type(cell) is not int or type(tokens) is not int:
        return None
    if not (0 <= cell < len(view) and view.tokens_of(cell).stop <= tokens <= len(view.tokens)):
        return None
    return cell if fingerprint == _fingerprint(view, blob, tokens) else None


def _fingerprint(view: View, blob: bytes, tokens: int) -> int:
    """What tells the first tokens of one completion from those of another; token_map.js works out the same."""
    logprobs = unpack(blob, "view")[1]["token.logprob"][:tokens]
    return crc32(logprobs.tobytes(), crc32(view.tokens.ids[:tokens].astype("<i4").tobytes()))
