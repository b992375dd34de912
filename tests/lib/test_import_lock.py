"""Two threads import transformers for the first time, as when the model changes while its tokenizer loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import tiny
from tests.support.browser import ROOT

SCRIPT = """
import sys, threading
from lib.models.tokenizer_files import load_tokenizer
from lib.engines.local.opening import open_local

failures = []

def work(call):
    try:
        found = call(sys.argv[1])
        getattr(found, "close", lambda: None)()
    except BaseException as error:
        failures.append(error)

threads = [threading.Thread(target=work, args=(call,)) for call in [load_tokenizer] * 4 + [open_local] * 2]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit("; ".join(map(repr, failures)) or 0)
"""


@pytest.mark.soak
def test_transformers_is_imported_by_one_thread_at_a_time(tmp_path: Path) -> None:
    directory = tiny.make_random(tmp_path / "tiny", "llama")
    tiny.make_tokenizer(chat=tiny.CHAT).save_pretrained(directory)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(directory)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
