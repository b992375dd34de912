"""Candor: how sure was the model of every token? The server; run it with `make run`."""

import streamlit as st

app = st.App("components/navigation.py")
