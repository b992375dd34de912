"""Memory that a long prompt takes, measured in its own process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import ROOT

_PROGRAM = """
import gc, re, sys
from pathlib import Path
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.core.request import Request
from tests.support.paths import ROOT

def megabytes(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

engine = LocalEngine(load("embedded"))
engine.complete(Request(prompt="Warming up. " * 50, max_tokens=4, k=20))
gc.collect()
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
before = megabytes("VmRSS")
(found,) = engine.complete(Request(prompt="word" + " word" * (%d - 1), max_tokens=0, k=20))
assert len(found.prompt) == %d, len(found.prompt)
assert found.prompt.k == 20
peak = megabytes("VmHWM")
engine.close()  # waits for the engine's thread, which tidies up after its last result
print(peak - before, megabytes("VmRSS") - before)
"""


@pytest.mark.model
@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measured with Linux's /proc")
@pytest.mark.parametrize(("tokens", "most"), [(1500, 260), (8000, 600)])
def test_long_prompts_stay_within_bounds(
    record_property: Callable[[str, object], None], tokens: int, most: int
) -> None:
    """`most`: megabytes beyond the loaded model, including the KV cache."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM % (tokens, tokens)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    peak, after = map(float, done.stdout.split())
    record_property("peak_megabytes", peak)
    print(f"peak {peak:.0f} MB, afterwards {after:.0f} MB over the loaded model")
    assert peak < most
    assert after < 150  # and it is given back
