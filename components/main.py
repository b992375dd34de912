"""The script that Streamlit runs for every page. `app.py` serves it."""

from components.navigation import show_page

show_page()
