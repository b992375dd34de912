"""Growing answers, fetched by the browser as they grow: no page runs for it.

A run of a page makes the browser render most of that page again, which takes it many times as long as a few new tokens
do. The map therefore asks `/growing/<key>` again and again, and each time gets a frame with what it lacks. The key is
all it takes to read the answer: each session has one of its own, which is void once that session is over.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from typing import Any
from weakref import WeakValueDictionary

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response

from components.token_map.frames import SHARED, framed
from lib import formatting
from lib.core.completion import Completion
from lib.display.token_map_columns import fingerprint
from lib.display.token_map_view import TokenMapView
from lib.jobs.batch import Batch
from lib.jobs.job import Job

_AT_LEAST_EVERY = 1.0  # seconds until a frame without news, which tells how long it has taken so far
_LOOK = 0.015  # seconds between two looks at the job
_KEPT = 4  # frames of a version; visitors of one answer mostly lack the same
_KEY, _UNREACHABLE = "growing.key", "growing.unreachable"


class Growing:
    """The answer of a running job, and the last frames made of it."""

    def __init__(self, job: Job[Batch]) -> None:
        self.job = job
        self._lock = threading.Lock()
        self._frames: dict[tuple[int, bool, int, int], bytes] = {}  # by what they were made for

    async def next_frame(self, version: int, base: int, before: int) -> bytes:
        """What is new after `version`, once there is something, or at the latest after a second.

        base, before: a number of tokens that the browser has and that cannot change any more, and their fingerprint.
        """
        until = time.monotonic() + _AT_LEAST_EVERY
        while self.job.version <= version and not self.job.over and time.monotonic() < until:
            await asyncio.sleep(_LOOK)
        return await asyncio.to_thread(self.frame, version, base, before)

    def frame(self, version: int, base: int, before: int) -> bytes:
        """What is new after `version`, and how the job is getting on."""
        over, now = self.job.over, self.job.version  # first, so that the browser asks again rather than not
        status = f"{self.job.note or 'Starting'} · {formatting.seconds(self.job.seconds)}"
        options = {"version": now, "over": over, "status": status}
        done = self.completion
        if done is None or (now <= version and not over):
            return framed(options, b"")
        key = (now, over, base, before)
        with self._lock:
            if key not in self._frames:
                if len(self._frames) >= _KEPT or any(each[:2] != key[:2] for each in self._frames):
                    self._frames.clear()
                self._frames[key] = _frame_of(done, base, before, options)
            return self._frames[key]

    @property
    def completion(self) -> Completion | None:
        """The answer so far."""
        batch = self.job.result or self.job.partial
        return None if batch is None else next(iter(batch.completions), None)


class Key:
    """A session's secret for one growing answer."""

    def __init__(self, growing: Growing) -> None:
        self.growing = growing
        self.text = secrets.token_urlsafe(16)  # 128 random bits
        _keys[self.text] = self


_keys: WeakValueDictionary[str, Key] = WeakValueDictionary()
_growing: WeakValueDictionary[int, Growing] = WeakValueDictionary()  # by id(job), which lives as long as its Growing


def key_for(job: Job[Batch]) -> Key:
    """The session's key for a job; the key for the job before it is void from now on."""
    key: Key | None = st.session_state.get(_KEY)
    if key is None or key.growing.job is not job:
        growing = _growing.get(id(job)) or _growing.setdefault(id(job), Growing(job))
        key = st.session_state[_KEY] = Key(growing)
    return key


def reachable() -> bool:
    """Whether this visitor's browser can fetch frames; some proxies let only Streamlit's own addresses through."""
    return not st.session_state.get(_UNREACHABLE)


def give_up() -> None:
    """Note that the browser could not fetch any."""
    st.session_state[_UNREACHABLE] = True


async def next_frame(request: Request) -> Response:
    """Answer a browser: 404 for a key that is void, 400 for what is no number."""
    headers = {"Cache-Control": "no-store"}
    key = _keys.get(request.path_params["key"])
    if key is None:
        return Response(status_code=404, headers=headers)
    try:
        version, base, before = (int(request.query_params.get(name, 0)) for name in ("version", "base", "before"))
    except ValueError:
        return Response(status_code=400, headers=headers)
    frame = await key.growing.next_frame(version, base, before)
    return Response(frame, media_type="application/octet-stream", headers=headers)


def _frame_of(done: Completion, base: int, before: int, options: dict[str, Any]) -> bytes:
    """The tokens after the first `base`, or all of them if those have another fingerprint."""
    if not 0 < base <= len(done.prompt) + len(done.generated) or fingerprint(done, base) != before:
        base = 0
    view = TokenMapView(done, base)
    options = options | {"settled": view.settled, "whole": True} | ({} if base else {"shared": SHARED})
    return framed(options, view.packed())
