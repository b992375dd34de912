"""A map in a narrow column, with the details of its pinned token below it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from components.token_map import token_map
from components.token_map.details import token_detail
from lib.display.token_map_view import TokenMapView


def map_with_pin(view: TokenMapView, *, key: str, beside: str = "", shown: Sequence[str] = ()) -> None:
    """Draw the map, and below it an expander with the pinned token's details, open once there is a pin.

    beside, shown: as in `token_map`.
    """
    pinned = token_map(view, key=key, beside=beside, shown=shown)
    with st.expander("Pinned token", icon=":material/push_pin:", expanded=pinned is not None):
        token_detail(view, pinned)
