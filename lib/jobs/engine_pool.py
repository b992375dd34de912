"""The engines of this process: loaded once, shared by all visitors, and unloaded when another model needs the memory.

A busy engine is never unloaded, because its answers would be lost.
"""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from lib.core.sources import Source
from lib.engines.base import Engine, is_busy
from lib.engines.registry import kind_of
from lib.errors import Busy, CandorError, as_error
from lib.models.memory import give_back

_MOST = 2  # models in memory at once


class Engines:
    """Opens engines by model. The first caller loads an engine, and concurrent callers wait for it."""

    def __init__(self, open_engine: Callable[[Source], Engine], most: int = _MOST) -> None:
        """most: models in memory at once."""
        self._open = open_engine
        self._most = most
        self._known: OrderedDict[Source, Future[Engine]] = OrderedDict()
        self._lock = threading.Lock()

    def peek(self, source: Source) -> Engine | None:
        """The engine if it is loaded. Never waits."""
        known = self._known.get(source)
        return known.result() if known is not None and known.done() and known.exception() is None else None

    def ready(self, source: Source) -> bool:
        """Whether the engine is loaded, so that `get` returns immediately."""
        return self.peek(source) is not None

    def get(self, source: Source) -> Engine:
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

    def _over_the_limit(self) -> list[Engine]:
        """Remove and return the least recently used idle engines. Raises Busy if there are too few.

        Only models in this machine's memory count.
        """
        resident = [source for source in self._known if kind_of(source).in_memory]
        surplus = len(resident) - self._most
        loaded = [each for each in resident if (future := self._known[each]).done() and future.exception() is None]
        idle = [each for each in loaded if not is_busy(self._known[each].result())]
        if surplus > len(idle):
            raise Busy(
                f"{self._most} models are in memory and busy; there is no room for another.",
                "Try again when one of their answers is finished.",
            )
        return [self._known.pop(each).result() for each in idle[: max(surplus, 0)]]

    def _load(self, source: Source, future: Future[Engine]) -> None:
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
        if kind_of(source).in_memory:
            # A loaded model is long-lived: keep the garbage collector from traversing it.
            gc.collect()
            gc.freeze()
        future.set_result(engine)


def _let_go(engines: list[Engine]) -> None:
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
