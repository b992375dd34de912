"""The one fake engine of the tests: it answers as a script says, at the rate that it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from lib.core.completion import Completion, Origin, StopReason
from lib.core.pieces import make_pieces
from lib.core.request import Request
from lib.core.stream import Delta, End
from lib.core.tokens import Tokens, concatenate, make_tokens
from lib.engines.base import ALONE, CallContext, Capabilities, Engine, Unsupported, Window
from lib.errors import Cancelled, CandorError

Script = Callable[[Request], Completion]


def tokens_of(text: str, logprob: float = -0.5) -> Tokens:
    """One token per character, all with the same logprob in nats, and without alternatives."""
    letters = sorted(set(text))
    pieces = make_pieces([(ord(letter), letter.encode(), False) for letter in letters])
    refs = np.array([letters.index(letter) for letter in text], np.int32)
    return make_tokens(pieces, refs, logprobs=np.full(len(refs), logprob, np.float32))


def says(text: str) -> Script:
    """A script that gives every request the same answer."""

    def script(request: Request) -> Completion:
        return Completion(
            request, "scripted", tokens_of(request.last_user_text), tokens_of(text), text, StopReason.STOP
        )

    return script


class ScriptedEngine:
    """Answers each sample with what its script makes of the request.

    rate: tokens per second; None for all at once. note: what it says it waits for, before each answer.
    """

    def __init__(
        self, script: Script | None = None, *, name: str = "scripted", rate: float | None = None, note: str = ""
    ) -> None:
        self.name, self.busy, self.closed = name, False, False
        self.script = script or says("fine")
        self.rate, self.note = rate, note
        self.can: dict[bool, Capabilities | Unsupported] = {True: Capabilities(), False: Capabilities()}  # by chat
        self.requests: list[Request] = []
        self.context: int | None = None  # tokens, one per character; None: not known
        self.counted = 0  # prompts

    def capabilities(self, *, chat: bool, ask: bool = True) -> Capabilities | Unsupported:
        """What the test has set."""
        return self.can[chat]

    def stream(self, request: Request, context: CallContext = ALONE) -> ScriptedStream:
        """The script's answer for each sample, token by token if there is a rate."""
        self.requests.append(request)
        if self.note:
            context.on_note(self.note)
        return ScriptedStream(self._deltas(request))

    def score(
        self,
        request: Request,
        candidates: Sequence[str],
        context: CallContext = ALONE,
    ) -> tuple[Completion, ...]:
        """Each candidate with the same logprob per character."""
        self.requests.append(request)
        return tuple(
            replace(self.script(request), generated=tokens_of(text), text=text, stop_reason=None, origin=Origin.SCORED)
            for text in candidates
        )

    def window(self, *, wait: bool) -> Window | None:
        """The context that the test has set."""

        def count(request: Request) -> int:
            self.counted += 1
            return len(request.last_user_text)

        return None if self.context is None else Window(self.context, count)

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def _deltas(self, request: Request) -> Iterator[Delta]:
        for sample in range(request.n):
            done = self.script(request)
            if self.rate is None:
                yield Delta(sample, whole=done)
                continue
            yield Delta(sample, start=replace(done, generated=done.generated[:0], text=""))
            began = time.monotonic()
            for row in range(len(done.generated)):
                time.sleep(max(0.0, began + (row + 1) / self.rate - time.monotonic()))
                letter = done.text[row : row + 1]
                yield Delta(sample, generated=concatenate([done.generated[row : row + 1]]), text=letter)
            yield Delta(sample, end=End(done.stop_reason))


class ScriptedStream:
    """Deltas of a scripted answer, until it is closed."""

    def __init__(self, deltas: Iterator[Delta]) -> None:
        self._deltas, self._closed = deltas, threading.Event()

    def __iter__(self) -> ScriptedStream:
        return self

    def __next__(self) -> Delta:
        if self._closed.is_set():
            raise Cancelled("The request was cancelled.")
        return next(self._deltas)

    def close(self) -> None:
        """End it with the next delta."""
        self._closed.set()

    def stop(self) -> None:
        """The same."""
        self.close()


def stream_of(completions: Iterable[Completion]) -> ScriptedStream:
    """The stream of samples that arrive in one piece each."""
    return ScriptedStream(Delta(sample, whole=done) for sample, done in enumerate(completions))


def fails(error: CandorError) -> Script:
    """A script that fails for every request."""

    def script(_: Request) -> Completion:
        raise error

    return script


_CHECKED: Engine = ScriptedEngine()  # the type checker compares it with the protocol
