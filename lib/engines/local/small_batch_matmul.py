"""Fast products of a few rows with a large weight matrix, on the CPU in float32.

For 3 to 64 rows MKL multiplies W·xᵀ two to three times faster than x·Wᵀ, the order `torch.nn.Linear` uses, on some
processors; on others it takes half as long again. So it is tried, once for a model, when that is opened: later on, the
same request has the same numbers every time. Writing several samples at once makes exactly such products, one row for
each, and so does reading a draft. Prompts and single samples keep the usual order: their numbers are those of a plain
pass, which lie closer to the exact ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_FEWEST, _MOST = 3, 64
_TRIED, _TRIALS = 8, 3  # rows; times, of which the fastest counts, as anything may slow one down
_ENOUGH = 50_000_000  # weights that are multiplied in a trial: more than a core keeps, as in a pass over all of them
_WORTH = 0.8  # of the usual order's time; what saves less is not worth other digits
_drafting = threading.local()


@contextmanager
def reading_a_draft() -> Iterator[None]:
    """Within this, in this thread, the few tokens that are read are no prompt: speed goes before the last digit."""
    _drafting.now = True
    try:
        yield
    finally:
        _drafting.now = False


def use_skinny_products(model: Any) -> None:
    """Let every linear layer of a float32 model on the CPU choose the faster order, where it is the faster one here."""
    import torch

    if model.device.type != "cpu" or model.dtype != torch.float32:
        return
    layers = [module for module in model.modules() if type(module) is torch.nn.Linear]
    if not _is_faster(layers):
        return
    for layer in layers:
        layer.forward = _chooser(layer)


def _is_faster(layers: Sequence[Any]) -> bool:
    """Whether W·xᵀ is, for a few rows and some of these layers, one after another as in a pass."""
    import torch

    some: list[tuple[Any, Any]] = []
    for layer in layers:
        some.append((layer.weight, torch.ones(_TRIED, layer.weight.shape[1])))
        if sum(weight.numel() for weight, _ in some) >= _ENOUGH:
            break

    def turned() -> None:
        for weight, rows in some:
            torch.mm(weight, rows.t())

    def usual() -> None:
        for weight, rows in some:
            torch.mm(rows, weight.t())

    with torch.inference_mode():
        taken = [(_seconds(turned), _seconds(usual)) for _ in range(_TRIALS)]
    return min(first for first, _ in taken) < _WORTH * min(second for _, second in taken)


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _chooser(layer: Any) -> Any:
    import torch
    from torch.nn import functional

    def few(rows: Any) -> Any:
        """Rows [r, in] as W·xᵀ."""
        product = torch.mm(layer.weight, rows.t()).t()
        return product if layer.bias is None else product + layer.bias

    def forward(rows: Any) -> Any:
        """Rows [b, 1, in] hold one token of each of b samples, [1, n, in] a draft or a prompt."""
        if rows.dim() == 3 and rows.shape[1] == 1 and _FEWEST <= rows.shape[0] <= _MOST:
            return few(rows.squeeze(1)).unsqueeze(1)
        if rows.dim() == 3 and rows.shape[0] == 1 and 1 < rows.shape[1] <= _MOST and getattr(_drafting, "now", False):
            return few(rows.squeeze(0)).unsqueeze(0)
        return functional.linear(rows, layer.weight, layer.bias)

    return forward
