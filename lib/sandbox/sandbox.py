"""A child process that reads foreign files, with limits on memory, time and open files.

Whatever a file makes a parser do (allocate, loop, panic, abort) is contained in the child. The child starts with an
empty environment, can't open files after its start, and answers with plain data. See docs/security.md.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from lib.errors import ModelUnavailable

_CHILD = Path(__file__).with_name("child.py")
# One thread per library, as threads take address space.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
_MAX_RESPONSE = 100_000_000  # bytes; the largest known vocabulary has about 10 MB
_MAX_ALIVE = 4  # idle children
_START_SECONDS = 60.0  # a cold disk loads the libraries slowly
MEMORY: Final = 2_000_000_000  # bytes of address space

_at_work = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))  # their memory adds up
_alive: list[Sandbox] = []  # least recently used first
_alive_lock = threading.Lock()


class _Ended(Exception):
    """The child has ended or sent an invalid message."""


class _TimedOut(Exception):
    """The child did not answer in time."""


class Sandbox:
    """A task of `lib.sandbox.tasks` on one foreign input, in its own process.

    The process starts at the first call, and again if it has ended because it was idle or hit a limit.
    """

    def __init__(self, task: str, source: Any, *, what: str, remedy: str, memory: int = MEMORY) -> None:
        """task: its name in `TASKS`. source: its input. what: names the input in errors. memory: bytes."""
        self._task, self._source, self._what, self._remedy, self._memory = task, source, what, remedy, memory
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def open(self, seconds: float = 30.0) -> Any:
        """Start the process, read the input and return what the task reports about it. seconds: of CPU time.

        Raises ModelUnavailable if the task rejects the input or hits a limit.
        """
        with self._lock, _at_work:
            return self._started(seconds)[1]

    def call(self, operation: str, argument: Any, seconds: float = 10.0) -> Any:
        """Run an operation of the task and return its result. Raises ModelUnavailable, as `open` does."""
        with self._lock, _at_work:
            child = self._child
            if child is None or child.process.poll() is not None:
                child, _ = self._started(30.0)
            return self._asked(child, operation, argument, seconds)

    def close(self) -> None:
        """End the process. The next call starts it again."""
        with self._lock:
            self._end()

    def end_if_idle(self) -> None:
        """End the process unless it is busy."""
        if self._lock.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._lock.release()

    def __del__(self) -> None:
        if child := getattr(self, "_child", None):
            child.process.kill()

    def _started(self, seconds: float) -> tuple[_Child, Any]:
        self._end()
        child = self._child = _Child(self._task, self._memory)
        _note_alive(self)
        try:
            child.receive(_START_SECONDS)  # it is ready, and its limits are set
        except (_Ended, _TimedOut):
            self._end()
            raise ModelUnavailable(
                "The process that reads foreign files doesn't start.",
                "Run `make setup`, and check that memory is free.",
            ) from None
        return child, self._asked(child, "open", self._source, seconds)

    def _asked(self, child: _Child, operation: str, argument: Any, seconds: float) -> Any:
        try:
            message = msgspec.msgpack.encode((operation, seconds, argument))
        except UnicodeEncodeError:
            raise ModelUnavailable(f"{self._what} contains text that is not valid Unicode.", self._remedy) from None
        try:
            child.send(message)
            kind, value = child.receive(seconds + 5.0)  # the child counts CPU time, and may wait for a core
        except _TimedOut:
            self._end()
            raise ModelUnavailable(f"{self._what} takes too long to read.", self._remedy) from None
        except _Ended:
            self._end()
            raise ModelUnavailable(
                f"{self._what} takes more memory or time than allowed, or crashes the program that reads it.",
                self._remedy,
            ) from None
        if kind == "refused":
            raise ModelUnavailable(*value)
        if kind == "failed":
            raise ModelUnavailable(f"{self._what} can't be used: {value}", self._remedy)
        return value

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()
        with _alive_lock:
            if self in _alive:
                _alive.remove(self)


class _Child:
    """The process and its two pipes."""

    def __init__(self, task: str, memory: int) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - this interpreter, and a file beside this one
            [sys.executable, "-I", "-B", "-X", "utf8", str(_CHILD), task, str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
        )

    def send(self, data: bytes) -> None:
        """Send a message. Raises _Ended."""
        stream = self.process.stdin
        if stream is None:
            raise _Ended
        try:
            stream.write(struct.pack("<Q", len(data)) + data)
            stream.flush()
        except OSError:
            raise _Ended from None

    def receive(self, seconds: float) -> tuple[str, Any]:
        """Wait for the next message and return its (kind, value). Raises _Ended or _TimedOut."""
        end = time.monotonic() + seconds
        (length,) = struct.unpack("<Q", self._bytes(8, end))
        if length > _MAX_RESPONSE:
            raise _Ended
        try:
            return msgspec.msgpack.decode(self._bytes(length, end), type=tuple[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _Ended from None

    def end(self) -> None:
        """Kill the process and wait for its end."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self.process.wait()

    def _bytes(self, count: int, end: float) -> bytearray:
        found = bytearray()
        if (stream := self.process.stdout) is None:
            raise _Ended
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while len(found) < count:
                if not selector.select(max(end - time.monotonic(), 0.0)):
                    raise _TimedOut
                part = os.read(stream.fileno(), min(count - len(found), 1 << 20))
                if not part:
                    raise _Ended
                found += part
        return found


def _note_alive(sandbox: Sandbox) -> None:
    """Record a running child as the most recently used; end the least recently used ones beyond a few."""
    with _alive_lock:
        if sandbox in _alive:
            _alive.remove(sandbox)
        _alive.append(sandbox)
        surplus = _alive[:-_MAX_ALIVE]
    for each in surplus:
        each.end_if_idle()


@atexit.register
def _end_all() -> None:
    with _alive_lock:
        sandboxes = list(_alive)
    for each in sandboxes:
        each.end_if_idle()
