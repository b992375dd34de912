"""Redirect the former address of Prompts, so that old links and bookmarks still work."""

import streamlit as st

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/prompts.py")
st.switch_page("pages/prompts.py", query_params=st.query_params.to_dict())
