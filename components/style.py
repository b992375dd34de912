"""The little that Streamlit's theme cannot say: less room above the title, and details that stay in view."""

from __future__ import annotations

import streamlit as st

_CSS = """
<style>
[data-testid="stMainBlockContainer"] { padding-top: 3.25rem; }
@media (min-width: 641px) {
  [data-testid="stColumn"]:has(.st-key-detail) { position: sticky; top: 4rem; align-self: start; }
}
</style>
"""


def page_style() -> None:
    """Called once by app.py."""
    st.html(_CSS)
