"""Reading a saved response takes linear time and little memory, whatever the text."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.paths import ROOT


def test_hostile_texts_are_read_in_linear_time_and_little_memory() -> None:
    command = [sys.executable, "-m", "tests.support.hostile_responses", "20000"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found = json.loads(run.stdout)
    assert {name: seconds for name, seconds in found["seconds"].items() if seconds > 4} == {}
    assert found["megabytes"] < 500
