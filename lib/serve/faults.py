"""Everything that can go wrong at the real service, on demand.

A fault is written as KIND or KIND:KEY=VALUE,KEY=VALUE, such as `error:code=ThrottlingException,times=2`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lib.errors import InvalidRequest
from lib.serve.service_errors import ERRORS, IN_STREAM
from lib.wire.formats import Format

KINDS = {
    "cold-start": "ModelNotReadyException until `seconds` after the first call",
    "eviction": "after `idle` seconds without a call the model is unloaded, and takes `seconds` to load again",
    "throttle": "ThrottlingException above `rate` calls a second",
    "error": "the error `code` instead of an answer, with `message`",
    "stream-error": "a stream fails with the error `code` `after` that many chunks",
    "cut": "the response ends `after` that many chunks or bytes; `where` is frame, within or reset",
    "latency": "a response starts after `seconds`, and its chunks come `between` seconds apart",
    "trimmed": "keys that are null are left out",
    "sorted": "keys are sorted, as some relays do; `order` is text or numbers",
    "absent": "the token at `position` has probability 0, so its logprob is written as -9999.0",
    "missing": "the key `field` is left out at every level",
    "splits": "the response is sent in pieces of at most `size` bytes",
}
_CHOICES = {"where": ("frame", "within", "reset"), "order": ("text", "numbers"), "operation": ("", "invoke", "stream")}
_NEEDED = {"error": "code", "stream-error": "code", "missing": "field", "throttle": "rate"}


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, and with which calls. Raises InvalidRequest for values that make no sense.

    KINDS says which fields a kind uses.
    """

    kind: str  # a key of KINDS
    model: str = ""  # only with this model, by name; "" for all
    form: str = ""  # only with this format, a name of `Format`; "" for all
    operation: str = ""  # only with "invoke" or "stream"; "" for both
    times: int | None = None  # only with the next calls, this many; None for all
    code: str = ""  # a name in service_errors.ERRORS
    message: str = ""  # of the error; "" for the usual one
    seconds: float = 0.0
    idle: float = 0.0  # seconds
    rate: float = 0.0  # calls per second
    between: float = 0.0  # seconds
    after: int = 0  # chunks of a stream, bytes of a whole response
    position: int = 0  # a token of the answer, from 0
    size: int = 7  # bytes
    where: str = "frame"  # between messages, "within" one, or with a "reset" of the connection
    order: str = "text"  # or "numbers"
    field: str = ""  # a key of the response

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidRequest(f"There is no fault {self.kind!r}.", f"The faults are {', '.join(KINDS)}.")
        for name, choices in {**_CHOICES, "form": ("", *Format.__members__)}.items():
            if getattr(self, name) not in choices:
                raise InvalidRequest(f"{name} is {getattr(self, name)!r}.", f"Choose from {', '.join(choices)}.")
        if (needed := _NEEDED.get(self.kind)) and not getattr(self, needed):
            raise InvalidRequest(f"The fault {self.kind} needs {needed}.", f"Write {self.kind}:{needed}=….")
        known = IN_STREAM if self.kind == "stream-error" else tuple(ERRORS)
        if self.code and self.code not in known:
            raise InvalidRequest(f"{self.kind} has no error {self.code}.", f"Choose from {', '.join(known)}.")
        numbers = (self.seconds, self.idle, self.rate, self.between, self.after, self.position, self.size - 1)
        if not all(0 <= number < 1e9 for number in numbers) or (self.times is not None and self.times < 0):
            raise InvalidRequest(
                f"A number of the fault {self.kind} is out of range.",
                "Give numbers that are not negative; size is at least 1.",
            )


def read_fault(text: str) -> Fault:
    """Parse a fault written as KIND:KEY=VALUE,KEY=VALUE. Raises InvalidRequest."""
    kind, _, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    return fault_from({"kind": kind, **{name.strip(): value for name, _, value in pairs}})


def fault_from(values: Mapping[str, Any]) -> Fault:
    """A fault from its fields; numbers may be text. Raises InvalidRequest."""
    known = {each.name: each for each in fields(Fault)}
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise InvalidRequest(f"A fault has no field {name!r}.", f"Its fields are {', '.join(known)}.")
        kind = str(known[name].type)
        try:
            found[name] = None if value is None else _typed(kind, value)
        except (TypeError, ValueError, OverflowError):
            raise InvalidRequest(f"{name} is {str(value)[:40]!r}.", "Give it as a number.") from None
    if not isinstance(found.get("kind"), str):
        raise InvalidRequest("A fault needs its kind.", f"The kinds are {', '.join(KINDS)}.")
    return Fault(**{name: value for name, value in found.items() if value is not None})


def _typed(kind: str, value: Any) -> Any:
    if kind == "str":
        return str(value)
    if isinstance(value, bool):
        raise TypeError
    return float(value) if kind == "float" else int(value)


@dataclass(frozen=True)
class CallFacts:
    """What decides which faults a call meets."""

    model: str
    form: Format | None
    operation: str


@dataclass
class _Warmth:
    """Whether one model is loaded. Times are the clock's, None before the first call."""

    last: float | None = None  # its last call
    ready: float | None = None  # when it is, or was, loaded


@dataclass
class _Bucket:
    """A token bucket."""

    left: float  # calls that are still allowed
    at: float  # when that was computed


@dataclass
class Faults:
    """The faults in force, how many times each is still due, and which models are warm. Thread-safe."""

    clock: Callable[[], float] = time.monotonic
    _left: list[tuple[Fault, int | None]] = field(default_factory=list)
    _warmth: dict[str, _Warmth] = field(default_factory=dict)
    _buckets: dict[Fault, _Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, faults: Iterable[Fault]) -> None:
        """Replace all faults, and make every model as cold as one just imported."""
        with self._lock:
            self._left = [(fault, fault.times) for fault in faults]
            self._warmth.clear()
            self._buckets.clear()

    @property
    def all(self) -> list[Fault]:
        """The faults in force; `times` is how many times each is still due."""
        with self._lock:
            return [replace(fault, times=left) for fault, left in self._left if left != 0]

    def refuses(self, model: str) -> str:
        """The error for a call to a cold model or above the rate, "" for none. Counts as a call."""
        with self._lock:
            now = self.clock()
            if not self._is_ready(model, now):
                return "ModelNotReadyException"
            for place, (fault, left) in enumerate(self._left):
                if fault.kind == "throttle" and fault.model in ("", model) and left != 0 and self._too_fast(fault, now):
                    self._left[place] = (fault, None if left is None else left - 1)
                    return "ThrottlingException"
            return ""

    def meets(self, call: CallFacts) -> dict[str, Fault]:
        """The faults that a call meets, by kind: of each kind the first that is due. Counts them as met."""
        found: dict[str, Fault] = {}
        with self._lock:
            for place, (fault, left) in enumerate(self._left):
                if left == 0 or fault.kind in found or not _concerns(fault, call):
                    continue
                found[fault.kind] = fault
                self._left[place] = (fault, None if left is None else left - 1)
        return found

    def _is_ready(self, model: str, now: float) -> bool:
        own = [fault for fault, _ in self._left if fault.model in ("", model)]
        cold = next((fault for fault in own if fault.kind == "cold-start"), None)
        eviction = next((fault for fault in own if fault.kind == "eviction"), None)
        warmth = self._warmth.setdefault(model, _Warmth())
        if warmth.ready is None:
            warmth.ready = now + (cold.seconds if cold else 0.0)
        elif eviction and warmth.last is not None and now - max(warmth.last, warmth.ready) > eviction.idle:
            warmth.ready = now + eviction.seconds
        warmth.last = now
        return now >= warmth.ready

    def _too_fast(self, fault: Fault, now: float) -> bool:
        """Take a call from a bucket that holds a second's calls, at least one, and refills at the rate."""
        room = max(fault.rate, 1.0)
        bucket = self._buckets.setdefault(fault, _Bucket(room, now))
        bucket.left = min(room, bucket.left + (now - bucket.at) * fault.rate)
        bucket.at = now
        if bucket.left < 1:
            return True
        bucket.left -= 1
        return False


def _concerns(fault: Fault, call: CallFacts) -> bool:
    if fault.kind in ("cold-start", "eviction", "throttle"):
        return False  # `refuses` handles these
    form = "" if call.form is None else call.form.name
    wanted = (fault.model in ("", call.model), fault.form in ("", form), fault.operation in ("", call.operation))
    fitting = fault.kind != "stream-error" or call.operation == "stream"
    return all(wanted) and fitting
