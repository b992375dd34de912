"""A map among others: what is pinned in it stands below it, as there is no room beside it."""

from __future__ import annotations

import streamlit as st

from components.token_map import token_map
from components.token_map.details import token_detail
from lib.display.token_map_view import TokenMapView


def map_with_pin(view: TokenMapView, *, key: str, beside: str = "") -> None:
    """The map, and below it, folded away until there is one, the details of the pinned token.

    beside: common to those that are read side by side.
    """
    pinned = token_map(view, key=key, beside=beside)
    with st.expander("Pinned token", icon=":material/push_pin:", expanded=pinned is not None):
        token_detail(view, pinned)
