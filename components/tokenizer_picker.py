"""Which tokenizer turns ids into text."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from components.process import most_uploaded
from lib.errors import InvalidRequest
from lib.local.embedded import NAME
from lib.policy import Policy
from lib.sources import EMBEDDED
from lib.tokenizer import Tokenizer

_NONE, _UPLOAD, _PATH = "None: show ids", "Upload its files", "Directory, file or hub id"


@dataclass(frozen=True)
class TokenizerChoice:
    """source: a path, a hub id or EMBEDDED, "" for none. files: uploaded ones, (name, bytes) each; None for none."""

    source: str = ""
    files: tuple[tuple[str, bytes], ...] | None = None

    @property
    def size(self) -> int:
        """Of the uploaded files, in bytes."""
        return sum(len(data) for _, data in self.files or ())

    def load(self) -> Tokenizer | None:
        """The tokenizer, None where none was chosen. Raises InvalidRequest or ModelUnavailable."""
        from lib.tokenizer_files import load_tokenizer, tokenizer_from_uploads

        if self.files is not None:
            if not self.files:
                raise InvalidRequest(
                    "No file of the tokenizer has been uploaded yet.",
                    'Upload tokenizer.json or tokenizer.model, or choose "None: show ids".',
                )
            return tokenizer_from_uploads(dict(self.files))
        return load_tokenizer(self.source) if self.source else None

    def check(self, policy: Policy) -> None:
        """Raise InvalidRequest for a path or hub id where visitors may give none."""
        if self.source not in ("", EMBEDDED) and not policy.open:
            raise InvalidRequest(
                "This server reads no tokenizers from paths or from the hub.", "Upload the tokenizer's files instead."
            )


def tokenizer_picker(policy: Policy, *, key: str) -> TokenizerChoice:
    """The tokenizer of the model that gave the reply."""
    choices = [_NONE, _UPLOAD, *([_PATH] if policy.open else []), NAME]
    choice = st.selectbox(
        "The model's tokenizer",
        choices,
        key=f"{key}.tokenizer",
        persist_state="session",
        help="Bedrock sends token ids. Their text comes from the tokenizer that was imported with the model.",
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
            "Where the tokenizer lies", key=f"{key}.tokenizer.path", persist_state="session",
            placeholder="~/models/llama/tokenizer.json",
        )  # fmt: skip
        return TokenizerChoice(source=source.strip())
    return TokenizerChoice(source=EMBEDDED if choice == NAME else "")
