"""What this session has asked of Bedrock, what that costs by estimate, and how far it may go.

A session is one run of the program, for all its visitors: a reload or another tab does not begin a new one, as the
account that pays is the same.
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
    """The most calls and estimated US dollars of a session; None for no limit. Raises InvalidRequest."""

    calls: int | None = USUAL_CALLS
    dollars: float | None = USUAL_DOLLARS

    def __post_init__(self) -> None:
        if (self.calls is not None and self.calls < 0) or (self.dollars is not None and not self.dollars >= 0):
            raise InvalidRequest("A cap cannot be negative.", "Give 0 to allow no call at all.")


def ledger_for(environ: Mapping[str, str]) -> Ledger:
    """A ledger with the caps in CANDOR_MAX_CALLS and CANDOR_MAX_DOLLARS and the price in CANDOR_CMU_RATE.

    Raises InvalidRequest where one of them is no number.
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
        raise InvalidRequest(f"{name} is {text!r}.", "Set it to a number from 0 on.")
    return found


@dataclass(frozen=True)
class Spend:
    """What one model has cost. calls: that were answered. windows: of five minutes that were begun."""

    units: Units = field(default_factory=Units)
    calls: int = 0
    windows: int = 0
    dollars: float = 0.0
    awake_for: float = 0.0  # seconds that the last window still lasts


class Call:
    """One call, which costs from the moment on that the service begins to answer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.answered_at: float | None = None
        self.counts = False

    def answered(self) -> None:
        """The service has begun to answer."""
        self.answered_at, self.counts = self._clock(), True

    def refused(self) -> None:
        """The service refuses it before the model is asked: it counts as a call, and costs nothing."""
        self.counts = True


@dataclass
class _Account:
    units: Units = field(default_factory=Units)
    calls: int = 0
    windows: BillingWindows = field(default_factory=BillingWindows)
    under_way: int = 0


class Ledger:
    """Counts calls and refuses those beyond the caps. Safe to share."""

    def __init__(
        self, caps: Caps | None = None, *, rate: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """rate: US dollars for a Custom Model Unit and minute, by default the usual one of each version."""
        self.caps = caps or Caps()
        self.rate = rate
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._lock = threading.Lock()

    def set_units(self, arn: str, units: Units) -> None:
        """What a copy of the model takes."""
        with self._lock:
            self._of(arn).units = units

    @contextmanager
    def call(self, arn: str) -> Iterator[Call]:
        """Around one call. It counts once it has been answered, which its maker says.

        Raises CapReached where it may not be made any more; calls under way count as if they were answered.
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
        """Calls answered so far."""
        return sum(bill.calls for bill in self.bills.values())

    @property
    def calls_left(self) -> int | None:
        """How many more calls the cap on them allows now; None without one."""
        with self._lock:
            taken = sum(each.calls + each.under_way for each in self._accounts.values())
            return None if self.caps.calls is None else max(self.caps.calls - taken, 0)

    @property
    def dollars(self) -> float:
        """US dollars they cost by estimate."""
        return sum(bill.dollars for bill in self.bills.values())

    def _of(self, arn: str) -> _Account:
        return self._accounts.setdefault(arn, _Account())

    def _check(self, arn: str) -> None:
        now, caps = self._clock(), self.caps
        calls = sum(each.calls + each.under_way for each in self._accounts.values())
        if caps.calls is not None and calls + 1 > caps.calls:
            raise CapReached(
                f"The session's cap of {caps.calls:,} calls is reached.", "Raise it under Connection to go on."
            )
        if caps.dollars is None:
            return
        # A model that is asked opens a window if it has none open; so do those that are being asked.
        self._of(arn)
        cost = sum(
            (each.windows.number + (each.windows.until <= now and (name == arn or each.under_way > 0)))
            * window_price(each.units, self.rate)
            for name, each in self._accounts.items()
        )
        if cost > caps.dollars:
            raise CapReached(
                f"The next call would take the session beyond its cap of {caps.dollars:.2f} US dollars, by estimate.",
                "Raise it under Connection to go on.",
            )
