"""The engines of this process: loaded once, shared by everybody, let go when others need the room."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from lib.errors import CandorError
from lib.local.engine import LocalEngine
from lib.local.memory import give_back

_MOST = 2  # models in memory at once


class Engines:
    """Opens engines by the name of their model; each is loaded by the first who asks, and others wait for it."""

    def __init__(self, open_engine: Callable[[str], LocalEngine] | None = None, most: int = _MOST) -> None:
        self._open = open_engine or open_local
        self._most = most
        self._known: OrderedDict[str, Future[LocalEngine]] = OrderedDict()
        self._lock = threading.Lock()

    def ready(self, source: str) -> bool:
        """Whether the engine is loaded, so that `get` would not wait."""
        known = self._known.get(source)
        return known is not None and known.done() and known.exception() is None

    def get(self, source: str) -> LocalEngine:
        """The engine for a model; loads it if need be. Raises CandorError, and tries again the next time."""
        with self._lock:
            mine = source not in self._known
            future = self._known.setdefault(source, Future())
            self._known.move_to_end(source)
            surplus = self._over_the_limit() if mine else []
        if surplus:
            _let_go(surplus)
        if mine:
            self._load(source, future)
        return future.result()

    def _over_the_limit(self) -> list[LocalEngine]:
        """Take out the engines that were used longest ago. Their own requests under way end as cancelled."""
        idle = [name for name, future in self._known.items() if future.done() and future.exception() is None]
        surplus = idle[: max(len(self._known) - self._most, 0)]
        return [self._known.pop(name).result() for name in surplus]

    def _load(self, source: str, future: Future[LocalEngine]) -> None:
        try:
            engine = self._open(source)
        except BaseException as error:
            with self._lock:
                self._known.pop(source, None)
            known = isinstance(error, CandorError)
            future.set_exception(error if known or not isinstance(error, Exception) else _unexpected(error))
            return
        # What is loaded now stays for good: keep the garbage collector from walking through it again and again.
        gc.collect()
        gc.freeze()
        future.set_result(engine)


def open_local(source: str) -> LocalEngine:
    """A local engine; torch is imported only when one is wanted."""
    from lib.local.loading import load

    return LocalEngine(load(source))


def _let_go(engines: list[LocalEngine]) -> None:
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
