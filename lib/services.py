"""What all sessions of a process share, as one object."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property

from lib.access.places import Places
from lib.access.policy import Policy
from lib.core.sources import EMBEDDED, Source, region_of
from lib.costs.bedrock_prices import WindowPrice
from lib.costs.ledger import ledger_for
from lib.engines.base import Capabilities, Engine, Unsupported
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.clients import REGIONS, usual_region
from lib.engines.registry import Shared, kind_of
from lib.errors import CandorError, InvalidRequest
from lib.jobs.answer_tree import Trees
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Jobs
from lib.store.database import open_database
from lib.store.runs import Runs
from lib.store.writer import RunWriter

_STORE, _UNDO = "CANDOR_STORE", "CANDOR_UNDO_MINUTES"
_RETRY_AFTER = 5.0  # seconds before a store that failed to open is tried again


class Services:
    """Engines, jobs, answer trees, the account, the ledger, the policy, and the store of runs. Thread-safe."""

    def __init__(self, environ: Mapping[str, str], policy: Callable[[], Policy]) -> None:
        """policy: what visitors may do now. Raises InvalidRequest for invalid CANDOR_* values."""
        self.policy = policy
        self.ledger = ledger_for(environ)
        self.account = Account(places=Places(policy, self._is_region_of_visitors), ledger=self.ledger)
        self.engines = Engines(self._open)
        self.jobs = Jobs()
        self.trees = Trees()
        self.store = Store(environ)

    @property
    def _shared(self) -> Shared:
        return Shared(self.account, self.ledger)

    def check_allowed(self, source: Source) -> None:
        """Raise InvalidRequest if visitors may not use the model."""
        kind_of(source).check(source, self._shared, self.policy())

    def label(self, source: Source) -> str:
        """The model's name as pages show it."""
        return kind_of(source).label(source, self._shared)

    def capabilities(self, source: Source, *, chat: bool, ask: bool = True) -> Capabilities | Unsupported:
        """What a model can do in a mode, as far as is known. Never waits.

        ask: whether it may ask a service in the background, or look at the model's files.
        """
        if (engine := self.engines.peek(source)) is not None:
            return engine.capabilities(chat=chat, ask=ask)
        return kind_of(source).preview(source, self._shared, self.policy(), chat=chat, ask=ask)

    def price(self, source: Source) -> WindowPrice | None:
        """What a call of a model costs; None if it is not billed. Makes no call."""
        return kind_of(source).price(source, self._shared)

    def load_embedded(self) -> None:
        """Load the embedded model. A failure surfaces with the first request."""
        with suppress(CandorError):
            self.engines.get(EMBEDDED)

    def _open(self, source: Source) -> Engine:
        """Open a source's engine. Models in memory are checked once more here: no other code opens them."""
        kind = kind_of(source)
        if kind.in_memory:
            kind.check(source, self._shared, self.policy())
        return kind.open(source, self._shared)

    def _is_region_of_visitors(self, region: str) -> bool:
        """Whether visitors may call Bedrock in a region: one the picker offers, or one of a listed model."""
        named = map(region_of, self.policy().allowed)
        return region in REGIONS or region in named or region == usual_region()  # the last reads AWS's settings


class Store:
    """The store of runs, opened when it is first needed, and the writer that saves jobs to it. Thread-safe."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read CANDOR_STORE and CANDOR_UNDO_MINUTES. Raises InvalidRequest if the latter is no number."""
        self._url = environ.get(_STORE, "").strip()
        self._minutes = environ.get(_UNDO, "").strip() or "60"
        if self.is_on and not self._minutes.isdecimal():
            raise InvalidRequest(f"{_UNDO} is {self._minutes!r}.", "Set it to a number of minutes.")
        self._opened: Runs | None = None
        self._lock = threading.Lock()
        self._retry_at = 0.0
        self.failure: CandorError | None = None  # why it could not be opened; None if it was

    @property
    def is_on(self) -> bool:
        """Whether runs are saved at all."""
        return self._url != "off"

    def runs(self) -> Runs | None:
        """The runs; None if saving is off or the store cannot be opened now."""
        if not self.is_on or time.monotonic() < self._retry_at:
            return None
        try:
            opened = self._open()
        except CandorError as error:
            # Do not make every page wait for another attempt.
            self._retry_at, self.failure = time.monotonic() + _RETRY_AFTER, error
            return None
        self.failure = None
        return opened

    @cached_property
    def writer(self) -> RunWriter | None:
        """The writer that saves jobs; None if saving is off."""
        if not self.is_on:
            return None
        made = RunWriter(self._open)
        made.erase_removed(60.0 * int(self._minutes))
        return made

    def _open(self) -> Runs:
        with self._lock:
            if self._opened is None:
                self._opened = Runs(open_database(self._url))
            return self._opened
