"""Redirect /explore to Explore, whose own address is that of the first page: nothing after the server's name."""

import streamlit as st

from components.shell.page_scripts import SCRIPTS

st.switch_page(SCRIPTS["explore"], query_params=st.query_params.to_dict())
