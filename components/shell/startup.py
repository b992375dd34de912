"""What app.py checks before it shows a page."""

from __future__ import annotations

import streamlit as st

from components.shell.access import policy
from components.shell.messages import show_error
from components.shell.services import services
from lib.errors import CandorError


def stop_if_misconfigured() -> None:
    """End the run with an error if the operator's settings are invalid."""
    try:
        policy()
        services()
    except CandorError as error:
        show_error(error)
        st.stop()
