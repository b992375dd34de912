"""What surrounds every page: the checks of a start, sign-in, navigation and the sidebar."""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import Page

from components.jobs.history_sync import tell_if_nothing_is_kept
from components.pickers.model import model_picker
from components.shell.access import policy
from components.shell.brand import name_page, page_config
from components.shell.page_scripts import SCRIPTS
from components.shell.services import warm_up
from components.shell.settings import keep_settings, restore_settings
from components.shell.sign_in import stop_until_signed_in, who_is_here
from components.shell.startup import stop_if_misconfigured
from components.shell.style import page_style
from lib import formatting

# Script, icon and what to say of each page, in the order of the sidebar.
_LISTED = (
    ("prompts", "compare", "Which prompt does the model understand better?"),
    ("models", "compare_arrows", "Where do two models disagree on the same text?"),
    ("rank", "sort", "Which answer does the model find most likely?"),
    ("doubts", "flag", "What might the model have made up?"),
    ("contexts", "filter_list", "Which passages are worth an answer?"),
    ("evaluate", "fact_check", "Does confidence mean correctness?"),
    ("history", "history", "Every run you saved: search, reopen, compare, export."),
    ("connection", "cable", "Models, access and cost"),
)
_FIRST = ("grid_on", "How sure was the model of every token?")


def show_page() -> None:
    """Show the page that the address names."""
    page_config()
    page = st.navigation(_pages())
    name_page(page.title)
    page_style()
    stop_if_misconfigured()
    stop_until_signed_in()
    restore_settings()
    with st.sidebar:
        st.session_state["model"] = model_picker(policy())
        who_is_here()
    page.run()
    keep_settings()
    tell_if_nothing_is_kept()
    warm_up()


def _pages() -> list[Page]:
    icon, about = _FIRST
    # The first page is at the server's own address; what it is called besides must differ from /explore, see start.py.
    first = st.Page(
        SCRIPTS["explore"], title="Explore", icon=f":material/{icon}:", default=True, url_path="start", help=about
    )
    listed = [
        st.Page(SCRIPTS[name], title=formatting.capital(name), icon=f":material/{icon}:", help=about)
        for name, icon, about in _LISTED
    ]
    moved = [
        st.Page(SCRIPTS["start"], title="Explore", url_path="explore", visibility="hidden"),
        st.Page(SCRIPTS["compare"], title="Prompts", visibility="hidden"),
    ]
    return [first, *listed, *moved]
