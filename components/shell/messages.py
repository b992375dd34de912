"""Errors and warnings in words."""

from __future__ import annotations

import streamlit as st

from components.shell.access import policy
from components.shell.escaping import as_lines, as_text, bold
from lib.core.completion import Completion
from lib.errors import BadResponse, CandorError, ServiceError
from lib.paths import without_directories
from lib.wire.decode import text_differs

_MAX_TEXT = 100_000  # characters of an answer's text shown apart from its tokens


def as_shown(text: str) -> str:
    """A message as the visitor may read it: on a shared server, without the directories it names."""
    return text if _alone() else without_directories(text)


def _alone() -> bool:
    """Whether only the server's own user reads this."""
    try:
        return policy().open
    except CandorError:  # an invalid setting, which is the error about to be shown
        return False


def in_markdown(error: CandorError) -> str:
    """An error as markdown, with its internals if only the server's own user reads them."""
    parts = [bold(as_shown(error.cause)), as_text(as_shown(error.remedy))]
    if error.detail and _alone():
        parts.append(as_lines(error.detail))
    return "  \n".join(filter(None, parts))


def show_error(error: CandorError) -> None:
    """Show what happened, and what to do next."""
    st.error(in_markdown(error), icon=":material/error:")
    if isinstance(error, ServiceError) and error.statement:
        st.code(error.statement, language="json")
    if isinstance(error, BadResponse) and error.data:
        st.download_button("Download the response", error.data, "response.json", icon=":material/download:")


def show_text_itself(done: Completion) -> None:
    """Show the answer's text as returned, if its tokens do not spell it."""
    if text_differs(done):
        st.caption("The answer's text as returned")
        st.code(done.text[:_MAX_TEXT], language=None, wrap_lines=True)


def show_warnings(warnings: tuple[str, ...]) -> None:
    """Show what readers should know about the numbers on the page."""
    for warning in warnings:
        st.warning(as_text(warning), icon=":material/info:")
