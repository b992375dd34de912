from __future__ import annotations

import tomllib

from lib import VERSION
from tests.support.browser import ROOT


def test_the_program_and_the_project_have_one_version() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"] == VERSION
