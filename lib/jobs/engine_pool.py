"""The engines of this process: loaded once, shared by everybody, let go when others need the room.

An engine that is at work is never let go: what it writes would be lost.
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
    """Opens engines by the name of their model; each is loaded by the first who asks, and others wait for it."""

    def __init__(self, open_engine: Callable[[Source], AnyEngine] | None = None, most: int = _MOST) -> None:
        self._open = open_engine or open_source
        self._most = most
        self._known: OrderedDict[Source, Future[AnyEngine]] = OrderedDict()
        self._lock = threading.Lock()

    def ready(self, source: Source) -> bool:
        """Whether the engine is loaded, so that `get` would not wait."""
        known = self._known.get(source)
        return known is not None and known.done() and known.exception() is None

    def get(self, source: Source) -> AnyEngine:
        """The engine for a model; loads it if need be. Raises CandorError, and tries again the next time.

        Busy: all models that there is room for are at work.
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
        """Take out the idle engines that were used longest ago. Raises Busy when there are not enough of them.

        Only models on this machine count; those of a service take no memory here.
        """
        local = [name for name in self._known if isinstance(name, str)]
        surplus = len(local) - self._most
        loaded = [name for name in local if (future := self._known[name]).done() and future.exception() is None]
        idle = [name for name in loaded if not self._known[name].result().busy]
        if surplus > len(idle):
            raise Busy(
                f"{self._most} models are in memory and at work; there is no room for another.",
                "Try again when one of their answers is done.",
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
        # What is loaded now stays for good: keep the garbage collector from walking through it again and again.
        gc.collect()
        gc.freeze()
        future.set_result(engine)


def open_source(source: Source, account: Account | None = None, ledger: Ledger | None = None) -> AnyEngine:
    """An engine for any source.

    account: where imported models and their tokenizers are looked up. ledger: what their calls are counted in.
    """
    if isinstance(source, str):
        return open_local(source)
    return BedrockEngine(source, account=account or Account(), ledger=ledger)


def open_local(source: str) -> LocalEngine:
    """A local engine; torch is imported only when one is wanted.

    It is loaded in a thread that ends with it. Every thread that torch has worked in keeps a team of workers, and once
    all teams together are more than the cores, workers no longer stay awake between two operations: each of the
    hundreds in a step then takes 0.06 ms longer.
    """
    from lib.engines.local.loading import load

    with ThreadPoolExecutor(1, "candor-loading") as loading:
        return loading.submit(lambda: LocalEngine(load(source))).result()


def _let_go(engines: list[AnyEngine]) -> None:
    """Close the engines and give their memory back, before the next model needs it. Empties the list."""
    while engines:
        engines.pop().close()
    # Models are full of cycles, and those that were frozen after loading are found only when they are thawed.
    gc.unfreeze()
    gc.collect()
    give_back()


def _unexpected(error: Exception) -> CandorError:
    found = CandorError(
        f"The model could not be opened: {type(error).__name__}.", "The log of the server has the details."
    )
    found.__cause__ = error
    return found
