"""A child process that reads foreign files, with limits on memory, time and open files.

What a file makes a parser do (allocate, loop, panic, abort) ends in the child. The child starts with an empty
environment, cannot open a file after its start, and answers in plain data. See docs/security.md.
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
# One thread a library, as threads take address space.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
_MOST_RESPONSE = 100_000_000  # bytes; the largest vocabulary has some 10 MB
_MOST_ALIVE = 4  # children that wait for further work
_START_SECONDS = 60.0  # a cold disk reads the libraries slowly
MEMORY: Final = 2_000_000_000  # bytes of address space

_at_work = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))  # the memory of these adds up
_alive: list[Sandbox] = []  # least recently used first
_alive_lock = threading.Lock()


class _Ended(Exception):
    """The child has ended, or said something that it never says."""


class _Late(Exception):
    """The child has not answered in time."""


class Sandbox:
    """A task of `lib.sandbox.child` on one foreign input, in a process of its own.

    The process starts at the first call, and again after it has ended: when it was idle, or hit a limit.
    """

    def __init__(self, task: str, given: Any, *, what: str, remedy: str, memory: int = MEMORY) -> None:
        """task, given: which task, and its input. what: the file's name in errors. memory: in bytes."""
        self._task, self._given, self._what, self._remedy, self._memory = task, given, what, remedy, memory
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def open(self, seconds: float = 30.0) -> Any:
        """Start the process and read the input; what the task tells of it. seconds: of processor time.

        Raises ModelUnavailable where the task refuses the input, or a limit is hit.
        """
        with self._lock, _at_work:
            return self._started(seconds)[1]

    def call(self, operation: str, given: Any, seconds: float = 10.0) -> Any:
        """The result of an operation of the task. Raises ModelUnavailable as `open` does."""
        with self._lock, _at_work:
            child = self._child
            if child is None or child.process.poll() is not None:
                child, _ = self._started(30.0)
            return self._asked(child, operation, given, seconds)

    def close(self) -> None:
        """End the process. Another call starts it again."""
        with self._lock:
            self._end()

    def end_if_idle(self) -> None:
        """End the process unless it is at work."""
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
            child.receive(_START_SECONDS)  # it is ready, and its limits hold
        except (_Ended, _Late):
            self._end()
            raise ModelUnavailable(
                "The process that reads foreign files does not start.", "Run `make setup`, and check the free memory."
            ) from None
        return child, self._asked(child, "open", self._given, seconds)

    def _asked(self, child: _Child, operation: str, given: Any, seconds: float) -> Any:
        try:
            message = msgspec.msgpack.encode((operation, seconds, given))
        except UnicodeEncodeError:
            raise ModelUnavailable(f"{self._what} contains text that is not valid Unicode.", self._remedy) from None
        try:
            child.send(message)
            kind, value = child.receive(seconds + 5.0)  # it counts its own processor time, and may wait for a core
        except _Late:
            self._end()
            raise ModelUnavailable(f"{self._what} takes too long to read.", self._remedy) from None
        except _Ended:
            self._end()
            raise ModelUnavailable(
                f"{self._what} takes more memory or time than it may, or ends the program that reads it.", self._remedy
            ) from None
        if kind == "refused":
            raise ModelUnavailable(*value)
        if kind == "failed":
            raise ModelUnavailable(f"{self._what} cannot be used: {value}", self._remedy)
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
        """Raises _Ended."""
        stream = self.process.stdin
        if stream is None:
            raise _Ended
        try:
            stream.write(struct.pack("<Q", len(data)) + data)
            stream.flush()
        except OSError:
            raise _Ended from None

    def receive(self, seconds: float) -> tuple[str, Any]:
        """(kind, value) of the next message. Raises _Ended or _Late."""
        end = time.monotonic() + seconds
        (length,) = struct.unpack("<Q", self._bytes(8, end))
        if length > _MOST_RESPONSE:
            raise _Ended
        try:
            return msgspec.msgpack.decode(self._bytes(length, end), type=tuple[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _Ended from None

    def end(self) -> None:
        """Kill it and wait for its end."""
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
                    raise _Late
                part = os.read(stream.fileno(), min(count - len(found), 1 << 20))
                if not part:
                    raise _Ended
                found += part
        return found


def _note_alive(sandbox: Sandbox) -> None:
    """Remember a child that runs; end the least recently used ones beyond a few."""
    with _alive_lock:
        if sandbox in _alive:
            _alive.remove(sandbox)
        _alive.append(sandbox)
        surplus = _alive[:-_MOST_ALIVE]
    for each in surplus:
        each.end_if_idle()


@atexit.register
def _end_all() -> None:
    with _alive_lock:
        sandboxes = list(_alive)
    for each in sandboxes:
        each.end_if_idle()
