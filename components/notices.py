"""Errors and warnings in words."""

from __future__ import annotations

import re

import streamlit as st

from components.process import keeper, ledger, policy
from lib.errors import BadReply, CandorError, ServiceError

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:])")


def escaped(text: str) -> str:
    """Text that markdown shows as it stands, whatever it holds."""
    return _MARKUP.sub(r"\\\1", text)


def in_markdown(error: CandorError) -> str:
    """An error's words; its internals too, where nobody but the server's own user reads them."""
    parts = [f"**{escaped(error.cause)}**", escaped(error.remedy)]
    if error.detail and policy().open:
        parts.append(escaped(error.detail))
    return "  \n".join(filter(None, parts))


def show_error(error: CandorError) -> None:
    """What happened, and what to do next."""
    st.error(in_markdown(error), icon=":material/error:")
    if isinstance(error, ServiceError) and error.statement:
        st.code(error.statement, language="json")
    if isinstance(error, BadReply) and error.data:
        st.download_button("The reply as it came", error.data, "reply.json", icon=":material/download:")


def stop_if_misconfigured() -> None:
    """End the run with an error where the operator's settings cannot be read."""
    try:
        policy()
        ledger()
        keeper()
    except CandorError as error:
        show_error(error)
        st.stop()


def show_warnings(warnings: tuple[str, ...]) -> None:
    """Things to know about the numbers on the page."""
    for warning in warnings:
        st.warning(escaped(warning), icon=":material/info:")
