"""Texts that are meant to take a reader of saved responses long, or much memory.

python -m tests.support.hostile_responses 1000000
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lib.errors import BadResponse
from lib.wire.saved_responses import completions_of, read_saved
from tests.support.event_stream import frame


def _chunk(id_: int, index: int) -> bytes:
    choice = {"index": index, "delta": {"content": "a"}}
    return json.dumps({"id": str(id_), "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n"


def _choices(count: int) -> bytes:
    choices = [{"index": index, "delta": {}} for index in range(count)]
    return json.dumps({"id": "a", "object": "chat.completion.chunk", "choices": choices}).encode() + b"\n"


_RECORD = b'{"generation":"a","logprobs":[{"5":-0.5}],"stop_reason":"stop"}'

# Each as long as a number says.
SHAPES: dict[str, Callable[[int], bytes]] = {
    "objects in a row": lambda n: b"{}" * n,
    "records in a row": lambda n: _RECORD * n,
    "lines": lambda n: b"{}\n" * n,
    "an array": lambda n: b"[" + b"{}," * n + b"{}]",
    "events": lambda n: b"data: {}\n\n" * n,
    "one event of many lines": lambda n: b"data: [1\n" + b"data: ,1\n" * n + b"data: ]\n\n",
    "one object of many lines": lambda n: b"data: {\n" + b'data: "a":1,\n' * n + b'data: "b":1}\n\n',
    "many answers": lambda n: _choices(n // 10) * 2,
    "an answer per chunk": lambda n: b"".join(_chunk(1, number) for number in range(n)),
    "a few answers in turns": lambda n: b"".join(_chunk(1, number % 999) for number in range(n)),
    "many streams in turns": lambda n: b"".join(_chunk(number % 999, 0) for number in range(n)),
    "chunks without choices": lambda n: b'{"choices":[]}\n' * n,
    "braces": lambda n: b"x " + b"{" * n,
    "braces and spaces": lambda n: b"x {    " * n,
    "objects that never end": lambda n: b'{"a":[\n' * n,
    "lines that are cut": lambda n: b'{"generation":"a\n' * n,
    "dictionaries that never end": lambda n: b"{'a':[\n" * n,
    "deep lines": lambda n: (b'{"a":' * 2000 + b"\n") * (n // 2000 + 1),
    "deep records": lambda n: b'{"response":' * n + b"}" * n,
    "deep dictionaries": lambda n: b"{'a':" + b"[" * n + b"]" * n + b"}",
    "printed dictionaries": lambda n: b"[{'a':1}" + b",{'a':1}" * n + b"]",
    "one printed dictionary": lambda n: str({"generation": "a", "logprobs": [{"1": -1.0}] * n}).encode(),
    "printed calls": lambda n: b"{'a': np.float64(1)}\n" * (n // 4),
    "escaped quotes": lambda n: b'{"a":NaN,"b":"' + b'\\"' * n,
    "escaped quotes of Python": lambda n: b"{'a':'" + b"\\'" * n,
    "strings of Python": lambda n: b"'{\"\\'{\"\\'{\"\\" * n,
    "doubled quotes": lambda n: b'"{""{""{""' * n,
    "escaped objects": lambda n: b'{\\"' * n,
    "strings, one per line": lambda n: b"b'x'\n" * n,
    "a list of strings": lambda n: b'["' + b'","' * n + b'{"]',
    "log events": lambda n: b'{"events":[' + b"{}," * n + b"{}]}",
    "lists of lists": lambda n: (
        b'{"events":[' + b",".join([b"[" + b'"{}",' * 999 + b'"{}"]'] * (n // 1000 + 1)) + b"]}"
    ),
    "numbers for bytes": lambda n: b'{"body":[' + b"123," * n + b"1]}",
    "lines with NaN": lambda n: b'{"generation":"a","x":NaN}\n' * n,
    "lines with Infinity": lambda n: b'{"generation":"a","x":Infinity}\n' * n,
    "text within text": lambda n: json.dumps({"body": json.dumps({"body": json.dumps({"body": "x{" * n})})}).encode(),
    "base64": lambda n: json.dumps({"body": base64.b64encode(b"{" * n).decode()}).encode(),
    "frames": lambda n: frame(b'{"bytes":"e30="}') * (n // 4),
    "fields": lambda n: json.dumps({f"k{number}": "generation" for number in range(n // 4)}).encode(),
    "titles": lambda n: b"<html><title" * n,
}


def seconds_of(name: str, size: int) -> float:
    """The processor time that a shape of that size takes to be opened or refused."""
    data = SHAPES[name](size)
    began = time.process_time()
    with contextlib.suppress(BadResponse):  # and nothing else
        completions_of(read_saved(data), None)
    return time.process_time() - began


def _peak() -> int:
    """The most memory that this program has held, in MB; getrusage counts what its parent had held, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1024


def main() -> int:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    took = {name: round(seconds_of(name, size), 2) for name in SHAPES}
    print(json.dumps({"seconds": took, "megabytes": _peak()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
