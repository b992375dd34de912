"""Retries with backoff: wait for a cold model to load, slow down for a service that throttles.

Notes say what is being waited for, and every wait can be cancelled. A call that may already have been
answered is never retried automatically.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from lib import formatting
from lib.engines.remote.rate_limit import Slot
from lib.errors import Cancelled, ServiceError

T = TypeVar("T")


class Failure(StrEnum):
    """Why a call failed, as far as it decides whether and when to retry."""

    COLD = "cold"  # the model is not loaded yet
    THROTTLED = "throttled"
    TRANSIENT = "transient"  # another attempt may well succeed
    PERMANENT = "permanent"


# A delay is between this fraction of its nominal length and all of it, so that callers spread out.
_MIN_FRACTION = {Failure.COLD: 0.8, Failure.THROTTLED: 0.5, Failure.TRANSIENT: 0.5}


@dataclass(frozen=True)
class RetryPolicy:
    """How long and how often to retry."""

    cold_timeout: float = 600.0  # seconds to wait in all for a cold model to load
    cold_delays: tuple[float, float] = (15.0, 45.0)  # seconds between attempts on a cold model: the first, the longest
    throttled_attempts: int = 10  # attempts in all when the service throttles
    transient_attempts: int = 4  # attempts in all after transient failures
    first_delay: float = 1.0  # seconds; doubles with every attempt after throttling or a transient failure
    max_delay: float = 30.0  # seconds


class Retry:
    """Runs calls under a policy. Safe to share between threads."""

    def __init__(
        self,
        classify: Callable[[ServiceError], Failure],
        policy: RetryPolicy = RetryPolicy(),
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        """wait: waits for the event or that many seconds; returns whether the event is set."""
        self._classify, self._policy = classify, policy
        self._clock, self._wait = clock, wait

    def run(
        self, attempt: Callable[[], T], slot: Slot, cancelled: threading.Event, on_note: Callable[[str], None]
    ) -> T:
        """Return the result of `attempt`, retried as needed; `on_note` is told before each wait.

        The slot is still held on return. Raises the last ServiceError, or Cancelled once `cancelled` is set.
        """
        started, cold, failed = self._clock(), 0, 0
        while True:
            if not slot.acquire(cancelled):
                raise Cancelled("The request was cancelled.")
            try:
                result = attempt()
            except ServiceError as error:
                failure = self._classify(error)
                slot.release(throttled=failure is Failure.THROTTLED)
                if failure is Failure.COLD:
                    cold += 1
                    delay, note = self._cold_delay(error, cold, self._clock() - started)
                else:
                    failed += 1
                    delay, note = self._backoff(error, failure, failed)
            else:
                slot.succeeded()
                return result
            on_note(note)
            if self._wait(cancelled, delay):
                raise Cancelled("The request was cancelled.")

    def _cold_delay(self, error: ServiceError, attempts: int, elapsed: float) -> tuple[float, str]:
        """(seconds, note) before the next attempt on a cold model. Raises ServiceError once the timeout has passed."""
        first, longest = self._policy.cold_delays
        delay = _jittered(min(first * 1.5 ** (attempts - 1), longest), Failure.COLD)
        if elapsed + delay > self._policy.cold_timeout:
            raise _not_loaded(error, self._policy.cold_timeout) from error
        tried = "once" if attempts == 1 else f"{attempts} times"
        return delay, f"The model is cold and is being loaded, which can take several minutes (tried {tried})"

    def _backoff(self, error: ServiceError, failure: Failure, attempts: int) -> tuple[float, str]:
        """(seconds, note) before the next attempt after any other failure. Raises `error` if there is to be none."""
        policy = self._policy
        allowed = {Failure.THROTTLED: policy.throttled_attempts, Failure.TRANSIENT: policy.transient_attempts}
        if attempts >= allowed.get(failure, 1):
            raise error
        delay = _jittered(min(policy.first_delay * 2 ** (attempts - 1), policy.max_delay), failure)
        why = "The service is throttling calls" if failure is Failure.THROTTLED else error.cause.rstrip(".")
        return delay, f"{why}; retrying in {formatting.seconds(delay + 1)}"


def _jittered(seconds: float, failure: Failure) -> float:
    return seconds * random.uniform(_MIN_FRACTION[failure], 1.0)  # noqa: S311


def _not_loaded(error: ServiceError, waited: float) -> ServiceError:
    return ServiceError(
        f"The model did not load within {waited / 60:.0f} minutes.",
        "Try again: each attempt keeps it loading. Very large models can take longer.",
        error.code,
        error.message,
    )
