"""Candor's name and mark."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_FOLDER = Path(__file__).parents[1]
_ICON = str(_FOLDER / "icon.png")


def page_config() -> None:
    """Set icon and layout. Comes before `st.navigation`: otherwise browsers fetch the page's icon from Google."""
    st.set_page_config(page_title="Candor", page_icon=_ICON, layout="wide")


def name_page(title: str) -> None:
    """Name the page in the browser's tab, and show Candor's name in the sidebar."""
    st.set_page_config(page_title=f"{title} · Candor")
    theme = "dark" if st.context.theme.type == "dark" else "light"
    st.logo(str(_FOLDER / f"wordmark-{theme}.svg"), size="large", icon_image=_ICON)
