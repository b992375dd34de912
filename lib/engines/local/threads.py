"""How many of torch's threads a pass uses.

A pass over a few rows spends its time reading the weights from memory, which one or two threads do as fast as many.
More of them only wait for each other as soon as a page or a browser takes a core. A pass over many rows computes, and
takes all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

FEW_ROWS = 8
_GAIN = 1.15  # twice the threads have to be at least this much faster
_PASSES = 3


@cache
def all_threads() -> int:
    """The number of threads that torch starts with: OMP_NUM_THREADS, or one per core."""
    import torch

    return int(torch.get_num_threads())


def use(threads: int) -> None:
    """Let torch compute with this number of threads from now on, in the thread that calls this."""
    import torch

    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def threads_needed(run_pass: Callable[[], object], most: int) -> int:
    """The smallest power of two, but at most `most`, beyond which twice the threads are hardly faster for a pass."""
    chosen, before = 1, _seconds(run_pass, 1) if most > 1 else 0.0
    while 2 * chosen <= most and (now := _seconds(run_pass, 2 * chosen)) * _GAIN <= before:
        chosen, before = 2 * chosen, now
    use(most)  # the thread that opens a model keeps what it had
    return chosen


def _seconds(run_pass: Callable[[], object], threads: int) -> float:
    """The shortest of a few passes."""
    use(threads)
    times = []
    for _ in range(_PASSES):
        began = time.perf_counter()
        run_pass()
        times.append(time.perf_counter() - began)
    return min(times)
