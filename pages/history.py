"""History: search, reopen and compare saved runs."""

import streamlit as st

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/history.py")

# Nothing else may run before the entry point.
from components.history.page import history  # noqa: E402

st.title("History")
history()
