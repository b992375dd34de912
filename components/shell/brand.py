"""Candor's name and mark."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_FOLDER = Path(__file__).parents[1]
_ICON = str(_FOLDER / "icon.png")


def page_config(title: str) -> None:
    """Name the page in the browser's tab, and show the wordmark in the sidebar."""
    st.set_page_config(page_title=f"{title} · Candor", page_icon=_ICON, layout="wide")
    theme = "dark" if st.context.theme.type == "dark" else "light"
    st.logo(str(_FOLDER / f"wordmark-{theme}.svg"), size="large", icon_image=_ICON)
