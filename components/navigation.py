"""Runs before every page: the checks of a start, sign-in, the sidebar, then the page. `app.py` serves this script."""

import streamlit as st

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

page_config()
page = st.navigation(
    [
        st.Page(
            SCRIPTS["explore"], title="Explore", icon=":material/grid_on:", default=True, url_path="start",
            help="How sure was the model of every token?",
        ),
        st.Page(
            SCRIPTS["prompts"], title="Prompts", icon=":material/compare:",
            help="Which prompt does the model understand better?",
        ),
        st.Page(SCRIPTS["compare"], title="Prompts", visibility="hidden"),
        st.Page(SCRIPTS["start"], title="Explore", url_path="explore", visibility="hidden"),
        st.Page(
            SCRIPTS["models"], title="Models", icon=":material/compare_arrows:",
            help="Where do two models disagree on the same text?",
        ),
        st.Page(
            SCRIPTS["rank"], title="Rank", icon=":material/sort:",
            help="Which answer does the model find most likely?",
        ),
        st.Page(
            SCRIPTS["history"], title="History", icon=":material/history:",
            help="Every run you saved: search, reopen, compare, export.",
        ),
        st.Page(
            SCRIPTS["connection"], title="Connection", icon=":material/cable:",
            help="Models, access and cost",
        ),
    ]
)  # fmt: skip
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
