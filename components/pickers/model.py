"""Choose the model to use."""

from __future__ import annotations

import streamlit as st

from components.pickers.bedrock import bedrock_picker
from components.shell.settings import among
from lib.access.policy import Bedrock, Policy
from lib.core.sources import EMBEDDED, NO_MODEL, TUNED, Source, named_source
from lib.models import embedded, tuned

_OTHER, BEDROCK = "Another model", "Amazon Bedrock"
_SHIPPED: dict[str, Source] = {embedded.NAME: EMBEDDED, tuned.NAME: TUNED}


def listed_models(policy: Policy) -> dict[str, Source]:
    """The models that can be chosen by name: Candor's own, and those that the operator allows."""
    return {**_SHIPPED, **{name: named_source(name) for name in policy.allowed}}


def model_picker(policy: Policy) -> Source:
    """Show the sidebar's model picker; return the model, NO_MODEL while none is selected."""
    st.subheader("Model")
    st.session_state["model.place"] = st.session_state["model.imported"] = None
    listed = listed_models(policy)
    choices = [*listed, *([_OTHER] if policy.open else []), *([BEDROCK] if policy.bedrock is not Bedrock.OFF else [])]
    among("model.choice", choices)
    choice = st.selectbox("Model", choices, key="model.choice", persist_state="session", label_visibility="collapsed")
    if choice == BEDROCK:
        return bedrock_picker(policy) or NO_MODEL
    if choice != _OTHER:
        if choice == embedded.NAME:
            st.caption("Ships with Candor. Small enough to be wrong often, which makes it good to learn on.")
        elif choice == tuned.NAME:
            st.caption(
                "The embedded model fine-tuned on an invented catalogue: right about its products, and overconfident "
                "about everything else."
            )
        return listed[choice]
    source = st.text_input(
        "Directory, GGUF file or hub id",
        key="model.source",
        placeholder="~/models/llama or HuggingFaceTB/SmolLM2-360M",
        help="A directory may hold a LoRA adapter, which is merged into its base model. Weights are read from "
        "safetensors or GGUF only. Code that comes with a model is never run.",
    )
    st.caption("The model is loaded with your first request.")
    return named_source(source.strip())
