"""Candor: how sure was the model of every token? The server; run it with `make run`."""

import streamlit as st

from components.server import lifespan, routes

app = st.App("components/main.py", routes=routes(), lifespan=lifespan)
