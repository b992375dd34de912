"""Prints how much the process grows while decoding a response of 20 MB, in multiples of it. Run by wire.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from lib.models.tokenizer_files import load_tokenizer
from lib.wire.decode import decode
from tests.benchmarks.wire import prompt_of, response_of


def peak() -> int:
    """The most memory this process has ever had, in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def current() -> int:
    """The memory this process has now, in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


def main() -> None:
    """Make the response in a process of its own, so that what making it took does not hide what reading it takes."""
    import os

    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "response.json"
        request, ids, names = prompt_of(40_000)
        if os.fork() == 0:
            file.write_bytes(response_of(ids, names, 5))
            os._exit(0)
        os.wait()
        tokenizer = load_tokenizer("embedded")
        small, few, _ = prompt_of(50)
        decode(response_of(few, names, 5), small, tokenizer)  # what is made once is not counted
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = current()
        data = file.read_bytes()
        (done,) = decode(data, request, tokenizer)
        assert len(done.prompt) == 40_000
        print((peak() - before) / len(data), len(data), file=sys.stderr)
        print((peak() - before) / len(data))


if __name__ == "__main__":
    main()
