"""Open a local engine. Torch is imported only when one is opened."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.engines.local.engine import LocalEngine


def open_local(path: str) -> LocalEngine:
    """A local engine for a directory, a GGUF file, a hub id, or "embedded". Raises CandorError.

    The model is loaded in a thread of its own that ends afterwards. Torch keeps a pool of workers for every thread that
    used it, and if all pools together exceed the cores, workers sleep between operations: each of the hundreds in a
    decoding step then takes 0.06 ms longer.
    """
    from lib.engines.local.engine import LocalEngine
    from lib.engines.local.loading import load

    with ThreadPoolExecutor(1, "candor-loading") as loading:
        return loading.submit(lambda: LocalEngine(load(path))).result()
