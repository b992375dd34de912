"""Candor: how sure was the model of every token? The server; run it with `make run`."""

import streamlit as st

from components.token_map.feed import routes

app = st.App("components/navigation.py", routes=routes())
