"""Which model answers."""

from __future__ import annotations

import streamlit as st

from lib.policy import Policy

_EMBEDDED, _OTHER = "SmolLM2-135M-Instruct", "Another model"


def model_picker(policy: Policy) -> str:
    """The model in use, chosen in the sidebar; "embedded", a path or a hub id. Empty while none is given."""
    st.subheader("Model")
    listed = {_EMBEDDED: "embedded", **{name: name for name in policy.allowed}}
    choices = [*listed, *([_OTHER] if policy.open else [])]
    choice = st.selectbox("Model", choices, key="model.choice", label_visibility="collapsed")
    if choice != _OTHER:
        if choice == _EMBEDDED:
            st.caption("The embedded model. Small enough to be wrong often, and so good to learn on.")
        return listed[choice]
    source = st.text_input(
        "Directory, GGUF file or hub id",
        key="model.source",
        placeholder="~/models/llama or HuggingFaceTB/SmolLM2-360M",
        help="Weights are read from safetensors or GGUF only. Code that comes with a model is never run.",
    )
    st.caption("The model is loaded when you press Generate.")
    return source.strip()
