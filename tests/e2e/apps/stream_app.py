"""A long answer while it is generated, token by token, at the rate given in the page's address.

Run by test_growth.py and by the benchmark of the map, for which it records the cost of each poll of the job.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import streamlit as st

from components.explore import answer
from lib.core.completion import Completion
from lib.core.stream import Delta, End
from lib.core.tokens import concatenate
from lib.jobs.job import Job
from lib.jobs.run import follow
from tests.benchmarks.completions import long_completion


class TimedStream:
    """A stream of one token at a time."""

    def __init__(self, done: Completion, rate: float) -> None:
        self.done = done
        self.rate = rate

    def __iter__(self) -> Iterator[Delta]:
        tokens = self.done.generated
        yield Delta(0, start=Completion(self.done.request, self.done.model, self.done.prompt, tokens[:0], ""))
        began = time.monotonic()
        for row in range(len(tokens)):
            time.sleep(max(0.0, began + (row + 1) / self.rate - time.monotonic()))
            yield Delta(0, generated=concatenate([tokens[row : row + 1]]), text="x")
        yield Delta(0, end=End("length"))

    def close(self) -> None:
        """There is nothing to release."""

    def stop(self) -> None:
        """There is nothing to stop."""


class Watched(Job[Completion]):
    """A job that records the length of each partial answer: (tokens, seconds since 1970)."""

    published: list[tuple[int, float]]

    def publish(self, partial: Completion | None = None, *, note: str | None = None) -> None:
        super().publish(partial, note=note)
        if partial is not None:
            self.published.append((len(partial.generated), time.time()))


@st.cache_resource
def look() -> Callable[..., None]:
    """The function that the page calls at every poll of the job."""
    return answer.show_completion


def timed(job: Watched, *others: object, live: bool) -> None:
    """Poll the job and record the CPU seconds that it took."""
    began = time.thread_time()
    try:
        look()(job, *others, live=live)
    finally:
        if live and job.partial is not None:
            st.session_state.costs.append((len(job.partial.generated), time.thread_time() - began))


def start(tokens: int, rate: float) -> Watched:
    """Start a job that generates this many tokens. rate: tokens per second."""
    job = Watched(lambda job: follow(TimedStream(long_completion(tokens), rate), job))  # type: ignore[arg-type]
    job.published = []
    threading.Thread(target=job.run, daemon=True).start()
    return job


def page() -> None:
    """Draw the page."""
    st.set_page_config(layout="wide")
    look()
    answer.show_completion = timed  # type: ignore[assignment]
    state, query = st.session_state, st.query_params
    if st.button("Write"):
        state.costs = []
        state.job = start(int(query["tokens"]), float(query["rate"]))
    if st.button("Notes"):
        notes = {"published": state.job.published, "costs": state.costs}
        st.code(json.dumps(notes), language=None)
    answer.show_answer(state.get("job"))


if __name__ == "__main__":
    page()
