"""Opening a response that was saved: no model and no account are needed for that."""

from __future__ import annotations

import streamlit as st

from components.pickers.tokenizer import tokenizer_picker
from components.shell.messages import show_error
from components.shell.services import most_uploaded, visitor
from lib import formatting
from lib.access.policy import Policy
from lib.errors import CandorError
from lib.studies.saved_response import SavedResponse

# Batch output ends in .jsonl.out, a log record in S3 in .json.gz.
_ENDINGS = ["json", "jsonl", "ndjson", "txt", "log", "out", "gz", "sse", "bin"]
_TEXT, _LARGE_TEXT, _REFUSED = "saved.text", "saved.large", "saved.refused"
_LARGE = 1_000_000  # characters; the browser sends what is in a field with every run
_MOST = (
    50_000_000  # characters, of 3 bytes at most: below server.maxWidgetStateSize, beyond which the connection closes
)


def saved_form(policy: Policy) -> SavedResponse | None:
    """The saved response once Open is pressed. A file takes precedence over pasted text."""
    pasted = st.text_area(
        "A response, as you saved it",
        key=_TEXT,
        persist_state="session",
        height=120,
        max_chars=_MOST,
        on_change=_set_aside,
        placeholder='{"generation": " over the lazy dog", "logprobs": [{"927": -0.0409}], …}',
        help=(
            'The response alone or with its request, as {"request": …, "response": …}. JSON Lines, streams, '
            "invocation log and batch records, and what the AWS CLI or Python print work too. You can paste up to "
            "50 million characters. Choose a file for more."
        ),
    )
    large = _large_text()
    uploaded = st.file_uploader("or a file", type=_ENDINGS, key="saved.file", max_upload_size=most_uploaded())
    tokenizer = tokenizer_picker(policy, key="saved")
    if st.button("Open", type="primary", icon=":material/folder_open:", key="saved.open"):
        data = large or pasted.encode("utf-8", "surrogatepass") if uploaded is None else uploaded.getvalue()
        return SavedResponse(data, tokenizer)
    return None


def _set_aside() -> None:
    """Keep a large text apart from its field; a text that follows takes its place."""
    state = st.session_state
    text = state[_TEXT]
    if not text:
        return
    for key in (_LARGE_TEXT, _REFUSED):
        state.pop(key, None)
    if len(text) < _LARGE:
        return
    state[_TEXT] = ""
    data = text.encode("utf-8", "surrogatepass")
    try:
        visitor().check_size(len(data))
    except CandorError as error:
        state[_REFUSED] = error
    else:
        state[_LARGE_TEXT] = data


def _large_text() -> bytes | None:
    """The large text that was pasted, with a way to remove it."""
    if (error := st.session_state.get(_REFUSED)) is not None:
        show_error(error)
    data: bytes | None = st.session_state.get(_LARGE_TEXT)
    if data is None:
        return None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/content_paste: Pasted text, {formatting.size(len(data))}", width="content")
        st.button(
            "Remove", key="saved.remove", icon=":material/close:", type="tertiary",
            on_click=lambda: st.session_state.pop(_LARGE_TEXT, None),
        )  # fmt: skip
    return data
