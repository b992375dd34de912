"""Products of a few rows with a large weight matrix, in whichever of two orders is the faster, on the CPU in float32.

Writing several samples at once makes such products, one row for each, and so does reading a draft. `torch.nn.Linear`
multiplies x·Wᵀ. For 3 to 64 rows W·xᵀ takes a half of the time on some processors, and half as long again on others. So
the first passes of each size try both, and the later ones keep to the faster. Prompts and single samples keep the usual
order: their numbers are those of a plain pass, which lie closer to the exact ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FEWEST, _MOST = 3, 64  # rows
_TRIALS = 3  # passes of each order, of which the fastest counts, as anything may slow one down
_now = threading.local()


class Orders:
    """Which order is the faster for so many rows of one model, as far as it is known. Used by one thread at a time."""

    def __init__(self, model: Any) -> None:
        """model: one that `use_either_order` has been given."""
        self._apply = _apply(model)
        self._taken: dict[int, tuple[list[float], list[float]]] = {}

    @contextmanager
    def fastest(self, rows: int) -> Iterator[None]:
        """Around one pass over so many rows, which counts as a trial where there were too few."""
        if not self._apply or not _FEWEST <= rows <= _MOST:
            yield
            return
        usual, turned = self._taken.setdefault((rows - 1).bit_length(), ([], []))
        known = len(usual) + len(turned) >= 2 * _TRIALS
        _now.turned = min(turned) < min(usual) if known else len(turned) < len(usual)
        began = time.perf_counter()
        try:
            yield
            if not known:
                (turned if _now.turned else usual).append(time.perf_counter() - began)
        finally:
            _now.turned = False


def use_either_order(model: Any) -> None:
    """Let every linear layer of a float32 model on the CPU multiply as `Orders` says."""
    import torch

    if not _apply(model):
        return
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.forward = _either(module)


def _apply(model: Any) -> bool:
    import torch

    return bool(model.device.type == "cpu" and model.dtype == torch.float32)


def _either(layer: Any) -> Any:
    import torch
    from torch.nn import functional

    def forward(rows: Any) -> Any:
        """Rows [..., in]."""
        if not getattr(_now, "turned", False):
            return functional.linear(rows, layer.weight, layer.bias)
        product = torch.mm(layer.weight, rows.reshape(-1, rows.shape[-1]).t()).t()
        product = product if layer.bias is None else product + layer.bias
        return product.reshape(*rows.shape[:-1], -1)

    return forward
