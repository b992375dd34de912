"""The first page is there before anything heavy is imported."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.paths import ROOT

HEAVY = ("torch", "transformers", "tokenizers", "pandas", "pyarrow", "psycopg", "boto3", "jinja2")
SCRIPT = f"""
import json, sys
import app, components.navigation, components.explore.page
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def test_explore_imports_nothing_heavy() -> None:
    """What app.py and the first page import. What Streamlit itself imports by then counts, too."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
