"""Open a response saved from Bedrock. This needs no model and no account."""

from __future__ import annotations

import streamlit as st

from components.pickers.tokenizer import tokenizer_picker
from components.shell.access import most_uploaded, visitor
from components.shell.messages import show_error
from lib import formatting
from lib.access.policy import Policy
from lib.errors import CandorError
from lib.studies.saved_response import SavedResponse

# Batch output ends in .jsonl.out, invocation logs in S3 in .json.gz.
_ENDINGS = ["json", "jsonl", "ndjson", "txt", "log", "out", "gz", "sse", "bin"]
_TEXT, _LARGE, _REFUSED = "saved.text", "saved.large", "saved.refused"
LARGE_TEXT = 1_000_000  # characters; a longer text leaves its field, which the browser sends with every rerun
# Characters of 3 bytes at most: below server.maxWidgetStateSize, beyond which the connection closes.
MAX_PASTED = 50_000_000


def saved_form(policy: Policy) -> SavedResponse | None:
    """Show the form; return the response once Open is pressed. A file takes precedence over pasted text."""
    pasted = st.text_area(
        "Response",
        key=_TEXT,
        persist_state="session",
        height=120,
        max_chars=MAX_PASTED,
        on_change=_set_aside,
        placeholder='{"generation": " over the lazy dog", "logprobs": [{"927": -0.0409}], …}',
        help=(
            'Paste the response alone, or {"request": …, "response": …}. JSON Lines works too, and so do streams, '
            "invocation logs, batch records, and what the AWS CLI or Python print. The field takes up to 50 million "
            "characters; choose a file for more."
        ),
    )
    large = _large_text()
    uploaded = st.file_uploader("Or choose a file", type=_ENDINGS, key="saved.file", max_upload_size=most_uploaded())
    tokenizer = tokenizer_picker(policy, key="saved")
    if st.button("Open", type="primary", icon=":material/folder_open:", key="saved.open"):
        data = large or pasted.encode("utf-8", "surrogatepass") if uploaded is None else uploaded.getvalue()
        return SavedResponse(data, tokenizer)
    return None


def _set_aside() -> None:
    """Move a large text out of its field. The next text that is pasted replaces it."""
    state = st.session_state
    text = state[_TEXT]
    if not text:
        return
    for key in (_LARGE, _REFUSED):
        state.pop(key, None)
    if len(text) < LARGE_TEXT:
        return
    state[_TEXT] = ""
    data = text.encode("utf-8", "surrogatepass")
    try:
        visitor().check_size(len(data))
    except CandorError as error:
        state[_REFUSED] = error
    else:
        state[_LARGE] = data


def _large_text() -> bytes | None:
    """The large text that was pasted, or None; shows its size and a button to remove it."""
    if (error := st.session_state.get(_REFUSED)) is not None:
        show_error(error)
    data: bytes | None = st.session_state.get(_LARGE)
    if data is None:
        return None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/content_paste: Pasted text, {formatting.size(len(data))}", width="content")
        st.button(
            "Remove", key="saved.remove", icon=":material/close:", type="tertiary",
            on_click=lambda: st.session_state.pop(_LARGE, None),
        )  # fmt: skip
    return data
