"""The server of every_app.py, with the addresses that Candor's own server has besides Streamlit's."""

import streamlit as st

from components.server import routes

app = st.App("every_app.py", routes=routes())
