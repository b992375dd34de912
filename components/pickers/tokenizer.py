"""Choose the tokenizer that turns token ids into text."""

from __future__ import annotations

import streamlit as st

from components.shell.access import most_uploaded
from lib.access.policy import Policy
from lib.core.sources import EMBEDDED
from lib.models.embedded import NAME
from lib.studies.saved_response import TokenizerChoice

_NONE, _UPLOAD, _PATH = "None: show ids", "Upload its files", "Directory, file or hub id"


def tokenizer_picker(policy: Policy, *, key: str) -> TokenizerChoice:
    """Show the picker; return the tokenizer of the model that produced the response."""
    choices = [_NONE, _UPLOAD, *([_PATH] if policy.open else []), NAME]
    choice = st.selectbox(
        "Tokenizer",
        choices,
        key=f"{key}.tokenizer",
        persist_state="session",
        help="Bedrock returns token ids. Their text comes from the tokenizer that was imported with the model.",
    )
    if choice == _UPLOAD:
        files = st.file_uploader(
            "tokenizer.json or tokenizer.model, and tokenizer_config.json if there is one",
            accept_multiple_files=True,
            key=f"{key}.tokenizer.files",
            max_upload_size=most_uploaded(),
        )
        return TokenizerChoice(files=tuple((file.name, file.getvalue()) for file in files))
    if choice == _PATH:
        source = st.text_input(
            "Tokenizer path or hub id", key=f"{key}.tokenizer.path", persist_state="session",
            placeholder="~/models/llama/tokenizer.json",
        )  # fmt: skip
        return TokenizerChoice(source=source.strip())
    return TokenizerChoice(source=EMBEDDED.path if choice == NAME else "")
