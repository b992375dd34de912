"""All apps of this folder on one server, as starting one takes seconds: the address says which, with `?app=`."""

from __future__ import annotations

from importlib import import_module

import streamlit as st

if __name__ == "__main__":
    import_module(f"tests.e2e.apps.{st.query_params['app']}").page()
