"""The ledger of Bedrock calls: calls made, their estimated cost, and caps on both.

A session is one run of the program, shared by all visitors. A reload or another tab does not start a new one, as the
same account pays.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from lib.costs.bedrock_prices import BillingWindows, Units, window_price
from lib.errors import CapReached, InvalidRequest

USUAL_CALLS, USUAL_DOLLARS = 1_000, 20.0


@dataclass(frozen=True)
class Caps:
    """Caps on a session. Raises InvalidRequest if one is negative."""

    calls: int | None = USUAL_CALLS  # None for no cap
    dollars: float | None = USUAL_DOLLARS  # estimated US dollars; None for no cap

    def __post_init__(self) -> None:
        if (self.calls is not None and self.calls < 0) or (self.dollars is not None and not self.dollars >= 0):
            raise InvalidRequest("A cap cannot be negative.", "Use 0 to allow no calls.")


def ledger_for(environ: Mapping[str, str]) -> Ledger:
    """A ledger with the caps in CANDOR_MAX_CALLS and CANDOR_MAX_DOLLARS, and the price in CANDOR_CMU_RATE.

    Raises InvalidRequest if one of them is not a number.
    """
    calls = _number(environ, "CANDOR_MAX_CALLS")
    dollars = _number(environ, "CANDOR_MAX_DOLLARS")
    caps = Caps(
        USUAL_CALLS if calls is None else int(calls),
        USUAL_DOLLARS if dollars is None else dollars,
    )
    return Ledger(caps, rate=_number(environ, "CANDOR_CMU_RATE"))


def _number(environ: Mapping[str, str], name: str) -> float | None:
    text = environ.get(name, "").strip()
    try:
        found = float(text) if text else None
    except ValueError:
        found = math.nan
    if found is not None and not 0 <= found < math.inf:
        raise InvalidRequest(f"{name} is {text!r}.", "Set it to 0 or a positive number.")
    return found


@dataclass(frozen=True)
class Spend:
    """What one model has cost."""

    units: Units = field(default_factory=Units)
    calls: int = 0  # calls that were answered or refused
    windows: int = 0  # billed five-minute windows
    dollars: float = 0.0  # estimated US dollars
    awake_for: float = 0.0  # seconds left in the last window


class Call:
    """One call. It costs from the moment the service starts to answer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.answered_at: float | None = None
        self.counts = False

    def answered(self) -> None:
        """Record that the service has started to answer."""
        self.answered_at, self.counts = self._clock(), True

    def refused(self) -> None:
        """Record that the service refused it before running the model: it counts as a call but costs nothing."""
        self.counts = True


@dataclass
class _Account:
    units: Units = field(default_factory=Units)
    calls: int = 0
    windows: BillingWindows = field(default_factory=BillingWindows)
    under_way: int = 0


class Ledger:
    """Counts calls and refuses those beyond the caps. Thread-safe."""

    def __init__(
        self, caps: Caps | None = None, *, rate: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start without calls. rate: US dollars per Custom Model Unit and minute; None for list prices."""
        self.caps = caps or Caps()
        self.rate = rate
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._lock = threading.Lock()

    def set_units(self, arn: str, units: Units) -> None:
        """Set the units of one copy of a model."""
        with self._lock:
            self._of(arn).units = units

    @contextmanager
    def call(self, arn: str) -> Iterator[Call]:
        """Context of one call, which counts once its `answered` or `refused` was called.

        Raises CapReached if it would exceed a cap. Calls in progress count as answered.
        """
        with self._lock:
            self._check(arn)
            self._of(arn).under_way += 1
        made = Call(self._clock)
        try:
            yield made
        finally:
            with self._lock:
                account = self._of(arn)
                account.under_way -= 1
                account.calls += made.counts
                if made.answered_at is not None:
                    account.windows = account.windows.with_call(made.answered_at, self._clock())

    @property
    def bills(self) -> dict[str, Spend]:
        """What each model has cost, by ARN."""
        with self._lock:
            now = self._clock()
            return {
                arn: Spend(
                    each.units,
                    each.calls,
                    each.windows.number,
                    each.windows.number * window_price(each.units, self.rate),
                    max(each.windows.until - now, 0.0),
                )
                for arn, each in self._accounts.items()
            }

    @property
    def calls(self) -> int:
        """Calls so far."""
        return sum(bill.calls for bill in self.bills.values())

    @property
    def calls_left(self) -> int | None:
        """The number of calls left under the cap; None without a cap."""
        with self._lock:
            taken = sum(each.calls + each.under_way for each in self._accounts.values())
            return None if self.caps.calls is None else max(self.caps.calls - taken, 0)

    @property
    def dollars(self) -> float:
        """The estimated cost so far, in US dollars."""
        return sum(bill.dollars for bill in self.bills.values())

    def _of(self, arn: str) -> _Account:
        return self._accounts.setdefault(arn, _Account())

    def _check(self, arn: str) -> None:
        now, caps = self._clock(), self.caps
        calls = sum(each.calls + each.under_way for each in self._accounts.values())
        if caps.calls is not None and calls + 1 > caps.calls:
            raise CapReached(
                f"The session has reached its cap of {caps.calls:,} calls.",
                "Raise the cap under Connection to continue.",
            )
        if caps.dollars is None:
            return
        # A call opens a window if its model has none open, and so do the calls in progress.
        self._of(arn)
        cost = sum(
            (each.windows.number + (each.windows.until <= now and (name == arn or each.under_way > 0)))
            * window_price(each.units, self.rate)
            for name, each in self._accounts.items()
        )
        if cost > caps.dollars:
            raise CapReached(
                f"By estimate, the next call would exceed the session's cap of {caps.dollars:.2f} US dollars.",
                "Raise the cap under Connection to continue.",
            )
