"""The engines of this process: loaded once, shared by all visitors, and unloaded when another model needs the memory.

A busy engine is never unloaded, because its answers would be lost.
"""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from lib.core.sources import Source
from lib.costs.ledger import Ledger
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.local.engine import LocalEngine
from lib.errors import Busy, CandorError, as_error
from lib.models.memory import give_back

AnyEngine = LocalEngine | BedrockEngine
_MOST = 2  # models in memory at once


class Engines:
    """Opens engines by model. The first caller loads an engine, and concurrent callers wait for it."""

    def __init__(self, open_engine: Callable[[Source], AnyEngine] | None = None, most: int = _MOST) -> None:
        self._open = open_engine or open_source
        self._most = most
        self._known: OrderedDict[Source, Future[AnyEngine]] = OrderedDict()
        self._lock = threading.Lock()

    def ready(self, source: Source) -> bool:
        """Whether the engine is loaded, so that `get` returns immediately."""
        known = self._known.get(source)
        return known is not None and known.done() and known.exception() is None

    def get(self, source: Source) -> AnyEngine:
        """The engine for a model, loaded if necessary. Raises CandorError; the next call tries again.

        Raises Busy if every model in memory is busy.
        """
        with self._lock:
            mine = source not in self._known
            future = self._known.setdefault(source, Future())
            self._known.move_to_end(source)
            try:
                surplus = self._over_the_limit() if mine else []
            except Busy:
                del self._known[source]
                raise
        if surplus:
            _let_go(surplus)
        if mine:
            self._load(source, future)
        return future.result()

    def _over_the_limit(self) -> list[AnyEngine]:
        """Remove and return the least recently used idle engines. Raises Busy if there are too few.

        Only local models count; those of a service take no memory here.
        """
        local = [name for name in self._known if isinstance(name, str)]
        surplus = len(local) - self._most
        loaded = [name for name in local if (future := self._known[name]).done() and future.exception() is None]
        idle = [name for name in loaded if not self._known[name].result().busy]
        if surplus > len(idle):
            raise Busy(
                f"{self._most} models are in memory and busy; there is no room for another.",
                "Try again when one of their answers is finished.",
            )
        return [self._known.pop(name).result() for name in idle[: max(surplus, 0)]]

    def _load(self, source: Source, future: Future[AnyEngine]) -> None:
        try:
            engine = self._open(source)
        except BaseException as error:
            with self._lock:
                self._known.pop(source, None)
            if isinstance(error, CandorError | KeyboardInterrupt | SystemExit):
                future.set_exception(error)
            elif isinstance(error, Exception):
                future.set_exception(_unexpected(error))
            else:  # a panic of a native library
                future.set_exception(as_error(error, "loading this model"))
            return
        # A loaded model is long-lived: keep the garbage collector from traversing it.
        gc.collect()
        gc.freeze()
        future.set_result(engine)


def open_source(source: Source, account: Account | None = None, ledger: Ledger | None = None) -> AnyEngine:
    """An engine for any source.

    account: looks up imported models and their tokenizers. ledger: counts their calls.
    """
    if isinstance(source, str):
        return open_local(source)
    return BedrockEngine(source, account=account or Account(), ledger=ledger)


def open_local(source: str) -> LocalEngine:
    """A local engine; torch is imported only when one is needed.

    The model is loaded in a thread of its own that ends afterwards. Torch keeps a pool of workers for every thread that
    used it, and if all pools together exceed the cores, workers sleep between operations: each of the hundreds in a
    decoding step then takes 0.06 ms longer.
    """
    from lib.engines.local.loading import load

    with ThreadPoolExecutor(1, "candor-loading") as loading:
        return loading.submit(lambda: LocalEngine(load(source))).result()


def _let_go(engines: list[AnyEngine]) -> None:
    """Close the engines and return their memory before the next model needs it. Empties the list."""
    while engines:
        engines.pop().close()
    # Models contain reference cycles; those frozen after loading are collected only once they are unfrozen.
    gc.unfreeze()
    gc.collect()
    give_back()


def _unexpected(error: Exception) -> CandorError:
    found = CandorError(f"The model could not be opened: {type(error).__name__}.", "The server's log has the details.")
    found.__cause__ = error
    return found
