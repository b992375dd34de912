"""A long answer while it is generated, token by token, at the rate given in the page's address.

Run by test_growth.py and by the benchmark of the map, for which it records the cost of each frame.
"""

from __future__ import annotations

import json
import threading
import time

import streamlit as st

from components.explore.page import EXPLORE
from components.token_map.feed import Growing
from lib.core.request import Request
from lib.core.sources import LocalModel
from lib.jobs.batch import Batch
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job
from lib.jobs.run_plan import run_calls
from lib.studies.exploration import ExplorePlan
from tests.benchmarks.completions import long_completion
from tests.support.scripted_engine import ScriptedEngine


def length(batch: Batch | None) -> int | None:
    """Tokens of the answer so far; None before the first."""
    done = None if batch is None else next(iter(batch.completions), None)
    return None if done is None else len(done.generated)


class Watched(Job[Batch]):
    """A job that records the length of each partial answer: (tokens, seconds since 1970)."""

    published: list[tuple[int, float]]

    def publish(self, partial: Batch | None = None, *, note: str | None = None) -> None:
        super().publish(partial, note=note)
        if (tokens := length(partial)) is not None:
            self.published.append((tokens, time.time()))


@st.cache_resource
def costs() -> list[tuple[int, float]]:
    """What each frame cost: (tokens of the answer, CPU seconds). From the first call on, of all answers."""
    noted: list[tuple[int, float]] = []
    make = Growing.frame

    def timed(self: Growing, version: int, base: int, before: int) -> bytes:
        began = time.thread_time()
        try:
            return make(self, version, base, before)
        finally:
            if (done := self.completion) is not None:
                noted.append((len(done.generated), time.thread_time() - began))

    Growing.frame = timed  # type: ignore[method-assign]
    return noted


def start(tokens: int, rate: float) -> Watched:
    """Start a job that generates this many tokens. rate: tokens per second."""
    engines = Engines(lambda _: ScriptedEngine(lambda _: long_completion(tokens), rate=rate))
    call = Call(LocalModel("timed"), Request("timed"))
    job = Watched(run_calls(engines, (call,)), ExplorePlan(call))
    job.published = []
    threading.Thread(target=job.run, daemon=True).start()
    return job


def page() -> None:
    """Draw the page."""
    st.set_page_config(layout="wide")
    state, query = st.session_state, st.query_params
    if st.button("Write"):
        costs().clear()
        state.job = start(int(query["tokens"]), float(query["rate"]))
    if st.button("Notes"):
        notes = {"published": state.job.published, "costs": costs()}
        st.code(json.dumps(notes), language=None)
    EXPLORE.show_job(state.get("job"))


if __name__ == "__main__":
    page()
