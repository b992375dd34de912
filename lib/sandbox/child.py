"""The program of the child process, which reads foreign files and answers with plain data.

`lib.sandbox.sandbox` runs it as `python -I child.py TASK BYTES`. A message in either direction is eight bytes of
length, then msgpack of (operation, seconds, argument) or (kind, value). Only the standard library is available before
`main`.
"""

from __future__ import annotations

import math
import os
import select
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

_IDLE_SECONDS = 120.0


def main() -> None:
    """Import what the task needs, set the limits, then answer until the parent closes the pipe or is idle."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    messages, responses = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep a library's output out of the responses
    import msgspec

    from lib.sandbox import tasks

    task = tasks.TASKS[sys.argv[1]]()
    _set_limits(int(sys.argv[2]), task.files)
    _send(responses, msgspec.msgpack.encode(("ready", None)))
    while select.select([messages], [], [], _IDLE_SECONDS)[0]:
        head = messages.read(8)
        if len(head) < 8:
            return
        message = messages.read(struct.unpack("<Q", head)[0])
        operation, seconds, argument = msgspec.msgpack.decode(message)
        _allow_seconds(seconds)
        _send(responses, _answered(task, operation, argument))


def _answered(task: Any, operation: str, argument: Any) -> bytes:
    import msgspec

    from lib.errors import CandorError

    try:
        return msgspec.msgpack.encode(("done", getattr(task, operation)(argument)))
    except CandorError as error:
        return msgspec.msgpack.encode(("refused", (error.cause, error.remedy)))
    except MemoryError:
        return msgspec.msgpack.encode(("failed", "it needs more memory than such a file may use."))
    except BaseException as error:  # panics of native code are not Exceptions
        text = " ".join(str(error).split())[:300].encode("utf-8", "replace").decode() or type(error).__name__
        return msgspec.msgpack.encode(("failed", text.rstrip(".") + "."))


def _send(responses: BinaryIO, message: bytes) -> None:
    responses.write(struct.pack("<Q", len(message)) + message)
    responses.flush()


def _set_limits(memory: int, files: int) -> None:
    """Limit memory (bytes) and open files; forbid writing files."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; the parent's time limit still applies
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    highest = os.dup(0) + 1 + files  # the lowest free descriptor is always used next
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))


def _allow_seconds(seconds: float) -> None:
    """Allow this many more seconds of CPU time."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + seconds), most))


if __name__ == "__main__":
    main()
