"""Which model answers."""

from __future__ import annotations

import streamlit as st

from lib.local.embedded import NAME
from lib.policy import Policy
from lib.sources import EMBEDDED, BedrockModel, Source
from lib.wire.formats import Format

_OTHER, _BEDROCK = "Another model", "Amazon Bedrock"


def model_picker(policy: Policy) -> Source:
    """The model in use, chosen in the sidebar. Empty while none is given."""
    st.subheader("Model")
    listed = {NAME: EMBEDDED, **{name: name for name in policy.allowed}}
    choices = [*listed, *([_OTHER, _BEDROCK] if policy.open else [])]
    choice = st.selectbox("Model", choices, key="model.choice", label_visibility="collapsed")
    if choice == _BEDROCK:
        return _bedrock()
    if choice != _OTHER:
        if choice == NAME:
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


def _bedrock() -> Source:
    """A model imported into Bedrock. Credentials come from boto3's own chain, never from a field."""
    arn = st.text_input(
        "ARN of the imported model", key="model.arn", persist_state="session",
        placeholder="arn:aws:bedrock:us-east-1:123456789012:imported-model/…",
    ).strip()  # fmt: skip
    tokenizer = st.text_input(
        "Its tokenizer: directory, file or hub id", key="model.tokenizer", persist_state="session",
        placeholder="~/models/llama/tokenizer.json",
        help="Bedrock sends token ids; their text comes from the tokenizer imported with the model. Without one, "
        "tokens are shown as the service names them.",
    ).strip()  # fmt: skip
    with st.expander("Region, profile, format"):
        imported = st.date_input(
            "Imported on", None, key="model.imported", persist_state="session",
            help="Decides what the model can return: no logprobs before 2025-07-31, its own format until 2025-11-11, "
            "three formats since.",
        )  # fmt: skip
        form = st.selectbox(
            "Format", ["", *Format.__members__], key="model.form", persist_state="session",
            format_func=_named,
        )  # fmt: skip
        region = st.text_input(
            "Region", key="model.region", persist_state="session", placeholder="as in the ARN"
        ).strip()
        profile = st.text_input("Profile", key="model.profile", persist_state="session", placeholder="default").strip()
        endpoint = st.text_input(
            "Endpoint", key="model.endpoint", persist_state="session", placeholder="AWS",
            help="Another address that speaks Bedrock's API.",
        ).strip()  # fmt: skip
    st.caption("Called with this machine's AWS credentials.")
    return BedrockModel(arn, tokenizer, imported, form, region.strip(), profile.strip(), endpoint) if arn else ""


def _named(form: str) -> str:
    """A format's name, short enough for the sidebar."""
    if not form:
        return "By the import date"
    return "BedrockCompletion (early)" if form == Format.EARLY.name else str(Format[form])
