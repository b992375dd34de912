"""What Candor's server does besides running pages: answers of its own, and a head start for the first page.

Light: the server does not listen before this is imported.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FIRST_PAGE = ("components.navigation", "components.explore.page")


def routes() -> list[Route]:
    """What the server answers besides Streamlit's own addresses."""
    prefix = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return [Route(f"/{prefix}/growing/{{key}}" if prefix else "/growing/{key}", _growing, methods=["GET"])]


async def _growing(request: Request) -> Response:
    from components.token_map.feed import next_frame

    return await next_frame(request)


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Import what the first page needs while the browser is still loading Streamlit's part of it."""
    threading.Thread(target=_prepare, name="candor-start", daemon=True).start()
    yield


def _prepare() -> None:
    for module in _FIRST_PAGE:
        import_module(module)
