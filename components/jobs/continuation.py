"""What the branch form asks an engine."""

from __future__ import annotations

import streamlit as st

from components.shell.services import services
from lib.core.request import Request
from lib.core.sources import Source
from lib.engines import base


def continuation_obstacle(source: Source, request: Request) -> str:
    """Why the model cannot continue after `request.prefix_ids`; "" if it can, or if it is not loaded yet."""
    engine = services().engines.peek(source)
    return "" if engine is None else base.continuation_obstacle(engine, request)


def encode_continuation(source: Source, request: Request, text: str) -> tuple[tuple[int, ...], bool]:
    """Ids of a text after `request.prefix_ids`, and whether a model that is sent text would read other tokens.

    Shows a spinner meanwhile, as the model may have to be loaded. Raises CandorError.
    """
    services().check_allowed(source)
    with st.spinner("Tokenizing your text"):
        return base.encode_continuation(services().engines.get(source), request, text)
