"""History: search, reopen and compare saved runs."""

import streamlit as st

from components.history.page import history

st.title("History")
history()
