"""Trying again: a model that sleeps is waited for, a service that throttles is given time.

What waits says so, and can be told to stop. Calls that may have been answered are never made again by themselves.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from lib import formatting
from lib.core.stream import Delta
from lib.engines.remote.rate_limit import Turn
from lib.errors import Cancelled, ServiceError

T = TypeVar("T")

ASLEEP = "ModelNotReadyException"
THROTTLED = "ThrottlingException"
_TRANSIENT = frozenset({"ServiceUnavailableException", "InternalServerException", "EndpointConnectionError"})
# A pause lasts between that part of its length and all of it, so that callers drift apart.
_SHORTENED = {ASLEEP: 0.8, THROTTLED: 0.5}


@dataclass(frozen=True)
class Patience:
    """cold: seconds that a sleeping model is waited for, asking every `asks[0]` to `asks[1]` seconds.

    throttled, failed: how often a call is tried in all when the service throttles, or fails for a reason that passes;
    pauses begin at `pause` seconds and double up to `longest`.
    """

    cold: float = 600.0
    asks: tuple[float, float] = (15.0, 45.0)
    throttled: int = 10
    failed: int = 4
    pause: float = 1.0
    longest: float = 30.0


def patiently(
    attempt: Callable[[], T],
    turn: Turn,
    gone: threading.Event,
    patience: Patience = Patience(),
) -> Generator[Delta, None, T]:
    """What `attempt` gives, after as many tries as it takes; yields notes of what it waits for.

    The turn is still held when it returns. Raises the last ServiceError, and Cancelled once `gone` is set.
    """
    began, tries, asleep_for = time.monotonic(), 0, 0
    while True:
        if not turn.enter(gone):
            raise Cancelled("The request was cancelled.")
        try:
            found = attempt()
        except ServiceError as error:
            turn.leave(throttled=error.code == THROTTLED)
            if error.code == ASLEEP:
                pause = min(patience.asks[0] * 1.5**asleep_for, patience.asks[1]) * _jitter(error)
                asleep_for += 1
                if time.monotonic() - began + pause > patience.cold:
                    raise _too_long(error, patience.cold) from error
                note = f"The model slept and is being woken, which may take minutes (asked {_times(asleep_for)})"
            else:
                tries += 1
                if tries >= {THROTTLED: patience.throttled}.get(
                    error.code, patience.failed if error.code in _TRANSIENT else 1
                ):
                    raise
                pause = min(patience.pause * 2 ** (tries - 1), patience.longest) * _jitter(error)
                why = "Bedrock throttles" if error.code == THROTTLED else error.cause.rstrip(".")
                note = f"{why}; next try in {formatting.seconds(pause + 1)}"
        else:
            turn.went_well()
            return found
        yield Delta(0, note=note)
        if gone.wait(pause):
            raise Cancelled("The request was cancelled.")


def _jitter(error: ServiceError) -> float:
    return random.uniform(_SHORTENED.get(error.code, 0.5), 1.0)  # noqa: S311


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _too_long(error: ServiceError, waited: float) -> ServiceError:
    return ServiceError(
        f"The model did not wake within {waited / 60:.0f} minutes.",
        "Try again: each try goes on waking it. Very large models can take longer.",
        error.code,
        error.message,
    )
