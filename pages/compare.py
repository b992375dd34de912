"""Redirect the former address of Prompts, so that old links and bookmarks still work."""

import streamlit as st

from components.shell.page_scripts import SCRIPTS

st.switch_page(SCRIPTS["prompts"], query_params=st.query_params.to_dict())
