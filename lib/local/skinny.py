"""Fast products of a few rows with a large weight matrix, on the CPU in float32.

For 3 to 64 rows MKL multiplies W·xᵀ two to three times faster than x·Wᵀ, the order `torch.nn.Linear` uses. Writing
several samples at once makes exactly such products, one row for each, and so does reading a draft. Prompts and single
samples keep the usual order: their numbers are those of a plain pass, which lie closer to the exact ones.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FEWEST, _MOST = 3, 64
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
    """Let every linear layer of a float32 model on the CPU choose the faster order."""
    import torch

    if model.device.type != "cpu" or model.dtype != torch.float32:
        return
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.forward = _chooser(module)


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
