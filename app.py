"""Candor: how sure was the model of every token? The entry point; run it with `make run`."""

import streamlit as st

from components.jobs.history_sync import tell_if_nothing_is_kept
from components.pickers.model import model_picker
from components.shell.access import policy
from components.shell.brand import name_page, page_config
from components.shell.entrypoint import entered
from components.shell.services import warm_up
from components.shell.settings import keep_settings, restore_settings
from components.shell.sign_in import stop_until_signed_in, who_is_here
from components.shell.startup import stop_if_misconfigured
from components.shell.style import page_style

page_config()
page = st.navigation(
    [
        st.Page(
            "pages/explore.py", title="Explore", icon=":material/grid_on:", default=True,
            help="How sure was the model of every token?",
        ),
        st.Page(
            "pages/prompts.py", title="Prompts", icon=":material/compare:",
            help="Which prompt does the model understand better?",
        ),
        st.Page("pages/compare.py", title="Prompts", visibility="hidden"),
        st.Page(
            "pages/models.py", title="Models", icon=":material/compare_arrows:",
            help="Where do two models disagree on the same text?",
        ),
        st.Page(
            "pages/rank.py", title="Rank", icon=":material/sort:",
            help="Which answer does the model find most likely?",
        ),
        st.Page(
            "pages/history.py", title="History", icon=":material/history:",
            help="Every run you saved: search, reopen, compare, export.",
        ),
        st.Page(
            "pages/connection.py", title="Connection", icon=":material/cable:",
            help="Models, access and cost",
        ),
    ]
)  # fmt: skip
name_page(page.title)

with entered():
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
