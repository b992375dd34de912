"""Flags in the token map: their bytes behind those of a view, and the threshold that the reader chose."""

from __future__ import annotations

import math
from typing import Any
from zlib import crc32

import streamlit as st

from lib.display.flag_columns import packed_flags
from lib.display.flags import Flags
from lib.display.token_map_view import TokenMapView


def flag_part(view: TokenMapView, flags: Flags | None) -> tuple[bytes, dict[str, Any]]:
    """The flags' bytes, which follow the view's in a frame, and the option that says so; both empty without flags."""
    if flags is None:
        return b"", {}
    packed = packed_flags(view, flags)
    return packed, {"flags": [len(packed), crc32(packed)]}


def chosen_threshold(key: str, flags: Flags) -> float:
    """The score that flags start from in the map under `key`: the reader's choice, or that of `flags`."""
    state = st.session_state.get(key)
    return checked_threshold(state.get("threshold") if state else None, flags)


def checked_threshold(chosen: Any, flags: Flags) -> float:
    """The threshold that the browser reports, or that of `flags` if it was chosen on another scale or is no number."""
    if not isinstance(chosen, dict):
        return flags.threshold
    value, scale = chosen.get("value"), chosen.get("scale")
    if not isinstance(value, int | float) or type(value) is bool or type(scale) is not int or scale != flags.scale:
        return flags.threshold
    try:
        number = float(value)
    except OverflowError:
        return flags.threshold
    return number if math.isfinite(number) else flags.threshold
