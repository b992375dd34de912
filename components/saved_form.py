"""Opening a reply that was saved: no model and no account are needed for that."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from components.process import most_uploaded
from components.tokenizer_picker import TokenizerChoice, tokenizer_picker
from lib.policy import Policy

# Batch output ends in .jsonl.out, a log record in S3 in .json.gz.
_ENDINGS = ["json", "jsonl", "ndjson", "txt", "log", "out", "gz", "sse", "bin"]


@dataclass(frozen=True)
class SavedText:
    """What was pasted or uploaded, and the tokenizer to read it with."""

    data: bytes
    tokenizer: TokenizerChoice


def saved_form(policy: Policy) -> SavedText | None:
    """The saved reply when Open was pressed. A file goes before pasted text."""
    pasted = st.text_area(
        "A response, as you saved it",
        key="saved.text",
        persist_state="session",
        height=120,
        placeholder='{"generation": " over the lazy dog", "logprobs": [{"927": -0.0409}], …}',
        help=(
            'The response alone or with its request, as {"request": …, "response": …}. JSON Lines, streams, '
            "invocation log and batch records, and what the AWS CLI or Python print work too."
        ),
    )
    uploaded = st.file_uploader("or a file", type=_ENDINGS, key="saved.file", max_upload_size=most_uploaded())
    tokenizer = tokenizer_picker(policy, key="saved")
    if st.button("Open", type="primary", icon=":material/folder_open:", key="saved.open"):
        data = uploaded.getvalue() if uploaded is not None else pasted.encode("utf-8", "surrogatepass")
        return SavedText(data, tokenizer)
    return None
