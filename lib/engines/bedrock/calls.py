"""Calls of one imported model: encoded, rate-limited, retried, counted in the ledger and decoded."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lib.core.completion import Completion, Timing
from lib.core.request import MAX_K, Request
from lib.core.stream import Delta
from lib.costs.ledger import Call, Ledger
from lib.engines.bedrock.errors import REFUSED, failure_of
from lib.engines.bedrock.runtime import Runtime
from lib.engines.remote.rate_limit import AimdLimiter, Slot
from lib.engines.remote.retry import Failure, Retry, RetryPolicy
from lib.errors import BadResponse, CandorError, ServiceError
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.decode import decode
from lib.wire.formats import Format, asked_top
from lib.wire.requests import encode_request
from lib.wire.stream_decoder import StreamReader

AT_ONCE = 16  # concurrent calls of one model until Bedrock throttles
_MAX_K_IN_REFUSAL = re.compile(r"max allowed: (\d+)")


@dataclass(frozen=True)
class WireOptions:
    """How a request goes out, and how its response is read."""

    wire_format: Format
    tokenizer: Tokenizer | None = None  # reads the response; None if there is none
    streamed: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)  # more fields of the body
    warnings: tuple[str, ...] = ()  # to add to the completion


@dataclass(frozen=True, eq=False)
class Attempt:
    """A request as it is sent."""

    request: Request  # the completion's request; its n counts as 1
    options: WireOptions
    body: bytes  # JSON
    max_k: int  # alternatives per token that the model was known to return when the body was encoded

    @property
    def encoded_request(self) -> Request:
        """The request with the number of alternatives that the body asks for."""
        if asked_top(self.options.wire_format, self.request.k) <= self.max_k:
            return self.request
        return replace(self.request, k=min(self.request.k, self.max_k))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to tell the user beyond what the response shows."""
        if self.options.wire_format.is_bedrock or self.request.k <= self.max_k:
            return self.options.warnings
        lowered = f"This model returns at most {self.max_k} alternatives; {self.request.k} were requested."
        return (*self.options.warnings, lowered)


@dataclass(frozen=True, eq=False)
class _Sending:
    """What a call waits with."""

    slot: Slot
    cancelled: threading.Event
    on_note: Callable[[str], None]


class Caller:
    """Sends requests to one model. Safe to share between threads."""

    def __init__(self, arn: str, runtime: Runtime, ledger: Ledger, policy: RetryPolicy) -> None:
        self._arn, self._runtime, self._ledger = arn, runtime, ledger
        self._limiter = AimdLimiter(AT_ONCE)
        self._retry = Retry(failure_of, policy)
        self._decoding = threading.Lock()
        self._max_k = MAX_K  # lowered when the model refuses that many

    @property
    def limit(self) -> int:
        """Concurrent calls allowed now."""
        return self._limiter.limit

    def encoded(self, request: Request, options: WireOptions) -> Attempt:
        """The request ready to send. Raises InvalidRequest if its format can't carry it."""
        most = self._max_k
        fields = encode_request(request, options.wire_format, streamed=options.streamed, most=most)
        return Attempt(request, options, json.dumps(fields | dict(options.extra)).encode(), most)

    def send(self, attempt: Attempt, cancelled: threading.Event, on_note: Callable[[str], None]) -> Iterator[Delta]:
        """The answer as deltas. on_note: told what is being waited for. Raises CandorError."""
        answer = self._streamed if attempt.options.streamed else self._whole
        with self._ledger.call(self._arn) as call, self._limiter.slot() as slot:
            yield from answer(attempt, call, _Sending(slot, cancelled, on_note))

    def _whole(self, attempt: Attempt, call: Call, sending: _Sending) -> Iterator[Delta]:
        started = time.monotonic()
        data, attempt = self._responded(self._runtime.invoke, attempt, sending)
        call.answered()
        sending.slot.release()
        timing = Timing(total=time.monotonic() - started)
        # Decode one response at a time, after the calls that replace it have gone out: all share the interpreter lock.
        with self._decoding:
            self._limiter.yield_to_new_calls()
            done = self._decoded(data, attempt)
        warnings = (*done.warnings, *attempt.warnings)
        yield Delta(0, whole=replace(done, request=attempt.request, warnings=warnings, timing=timing))

    def _streamed(self, attempt: Attempt, call: Call, sending: _Sending) -> Iterator[Delta]:
        started = time.monotonic()
        events, attempt = self._responded(self._runtime.open, attempt, sending)
        call.answered()
        try:
            yield from self._read(events, attempt, started, sending.cancelled)
        except ServiceError as error:
            sending.slot.release(throttled=failure_of(error) is Failure.THROTTLED)
            raise

    def _responded(self, send: Callable[[bytes], Any], attempt: Attempt, sending: _Sending) -> tuple[Any, Attempt]:
        """What `send` returns, and the attempt that got it: with fewer alternatives if the model refuses as many."""
        while True:
            try:
                once = partial(send, attempt.body)
                return self._retry.run(once, sending.slot, sending.cancelled, sending.on_note), attempt
            except ServiceError as error:
                allowed = _MAX_K_IN_REFUSAL.search(error.message) if error.code == REFUSED else None
                if allowed is None or int(allowed[1]) >= attempt.max_k:
                    raise
                self._max_k = min(self._max_k, int(allowed[1]))
                attempt = self.encoded(attempt.request, attempt.options)

    def _read(self, events: Any, attempt: Attempt, started: float, cancelled: threading.Event) -> Iterator[Delta]:
        """The deltas of a stream. Their completion carries the original request and the attempt's warnings."""
        reader = StreamReader(attempt.encoded_request, attempt.options.tokenizer, model=self._arn)
        first: float | None = None
        with closing(events):
            try:
                for event in events:
                    first = first or time.monotonic()
                    for delta in reader.feed(event["chunk"]["bytes"]):
                        yield _with_request(delta, attempt.request)
                    if cancelled.is_set():
                        return
            except CandorError:
                raise
            except Exception as error:
                raise self._runtime.in_words(error) from error
        ended = time.monotonic()
        timing = Timing(None, None if first is None else first - started, ended - started)
        for delta in reader.close(timing):
            yield _with_warnings(delta, attempt.warnings)

    def _decoded(self, data: bytes, attempt: Attempt) -> Completion:
        """The completion in a response. Raises BadResponse with the data, which has been paid for."""
        try:
            return decode(data, attempt.encoded_request, attempt.options.tokenizer, model=self._arn)[0]
        except BadResponse as error:
            raise BadResponse(error.cause, error.remedy, data) from error


def _with_request(delta: Delta, request: Request) -> Delta:
    return delta if delta.start is None else replace(delta, start=replace(delta.start, request=request))


def _with_warnings(delta: Delta, more: tuple[str, ...]) -> Delta:
    return delta if delta.end is None else replace(delta, end=replace(delta.end, warnings=(*delta.end.warnings, *more)))
