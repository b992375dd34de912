"""Errors and warnings in words."""

from __future__ import annotations

import streamlit as st

from components.shell.escaping import as_lines, as_text, bold
from components.shell.services import ledger, policy, run_writer
from lib.core.completion import Completion
from lib.errors import BadResponse, CandorError, ServiceError
from lib.paths import without_directories
from lib.wire.decode import text_differs

_MOST_TEXT = 100_000  # characters of an answer shown by itself


def as_shown(text: str) -> str:
    """A message as the visitor may read it: where others reach the server, without the directories in it."""
    return text if _alone() else without_directories(text)


def _alone() -> bool:
    """Whether only the server's own user reads this."""
    try:
        return policy().open
    except CandorError:  # a setting that cannot be read, which is what will be said
        return False


def in_markdown(error: CandorError) -> str:
    """An error's words; its internals too, where only the server's own user reads them."""
    parts = [bold(as_shown(error.cause)), as_text(as_shown(error.remedy))]
    if error.detail and _alone():
        parts.append(as_lines(error.detail))
    return "  \n".join(filter(None, parts))


def show_error(error: CandorError) -> None:
    """What happened, and what to do next."""
    st.error(in_markdown(error), icon=":material/error:")
    if isinstance(error, ServiceError) and error.statement:
        st.code(error.statement, language="json")
    if isinstance(error, BadResponse) and error.data:
        st.download_button("The response as it came", error.data, "response.json", icon=":material/download:")


def stop_if_misconfigured() -> None:
    """End the run with an error where the operator's settings cannot be read."""
    try:
        policy()
        ledger()
        run_writer()
    except CandorError as error:
        show_error(error)
        st.stop()


def show_text_itself(done: Completion) -> None:
    """The answer's text as returned, where its tokens do not spell it."""
    if text_differs(done):
        st.caption("The answer's text as returned")
        st.code(done.text[:_MOST_TEXT], language=None, wrap_lines=True)


def show_warnings(warnings: tuple[str, ...]) -> None:
    """Things to know about the numbers on the page."""
    for warning in warnings:
        st.warning(as_text(warning), icon=":material/info:")
