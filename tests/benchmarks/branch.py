"""Branches, and the export to HTML."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

from components.token_map.export_html import to_html
from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from tests.benchmarks.completions import long_completion
from tests.benchmarks.report import Figure
from tests.support.browser import ROOT

_AT, _MORE = 500, 20  # branch at this token, counting prompt and answer, and generate this many more
_ROUNDS = 7
_LONG = 10_000  # tokens of the exported completion
_PROMPT = (ROOT / "docs" / "scores.md").read_text(encoding="utf-8")[:1700]  # prose without repetitions


def figures() -> Iterator[Figure]:
    yield _branch()
    yield from _files()


def _files() -> Iterator[Figure]:
    fixed, times, size = len(to_html(long_completion(1))), [], 0
    for _ in range(6):
        done = long_completion(_LONG)  # a new one, as derived values are cached
        began = time.perf_counter()
        size = len(to_html(done))
        times.append(time.perf_counter() - began)
    yield Figure(f"export of {_LONG:,} tokens to HTML, ms", 1000 * statistics.median(times[1:]), 300)
    yield Figure(f"… of these, bytes per token at {_LONG:,} tokens, top-5", (size - fixed) / (_LONG - 1), 60)
    yield Figure("… of these, size of the file without its tokens, kB", fixed / 1000, 40)


def _branch() -> Figure:
    """Alternate the engines; branch at another token each round, so that no branch hits the previous round's cache."""
    loaded = load("embedded")
    cached, without = LocalEngine(loaded), LocalEngine(loaded, kept=0)
    try:
        asked = Request(prompt=_PROMPT, max_tokens=_AT, k=5)
        read = cached.prompt_tokens(asked)
        asked = replace(asked, max_tokens=_AT - read + _ROUNDS + 1)
        (before,) = cached.complete(asked)
        times: dict[LocalEngine, list[float]] = {cached: [], without: []}
        for number in range(_ROUNDS):
            row = _AT - read + number
            forced = (*before.generated.ids[:row].tolist(), int(before.generated.top_ids[row, 1]))
            request = replace(asked, prefix_ids=forced, max_tokens=_MORE)
            for engine, taken in times.items():
                began = time.perf_counter()
                (done,) = engine.complete(request)
                taken.append(time.perf_counter() - began)
                assert len(done.generated) >= len(forced) + 1
        ours, theirs = (statistics.median(taken[1:]) for taken in times.values())
    finally:
        cached.close()
        without.close()
    return Figure(f"{_MORE} tokens from position {_AT} with the prefix cache ÷ without", ours / theirs, 0.35)
