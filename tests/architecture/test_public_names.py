"""What notebooks import: the public names of `lib`, and errors for the imports of version 0.1."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest

import lib
from lib.moved import MOVED, OF_SCORES
from tests.support.paths import ROOT


def test_every_public_name_is_there() -> None:
    assert lib.__all__ == sorted(lib.__all__, key=lambda name: (name != "VERSION", name))
    assert all(getattr(lib, name) is not None for name in lib.__all__)
    assert set(dir(lib)) == set(lib.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lib.nothing  # noqa: B018


def test_importing_lib_costs_nothing() -> None:
    code = "import sys, lib; print(len([m for m in sys.modules if m.partition('.')[0] in ('numpy', 'torch', 'lib')]))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(run.stdout) == 2  # lib and lib.moved


@pytest.mark.parametrize("former", sorted(MOVED))
def test_a_former_module_says_where_it_is(former: str) -> None:
    importlib.import_module(MOVED[former])
    with pytest.raises(ImportError, match=f"^{re.escape(former)} is now {re.escape(MOVED[former])}"):
        importlib.import_module(former)


def test_the_imports_of_the_first_readme_say_where_they_are() -> None:
    for line in (
        "from lib.local.engine import LocalEngine",
        "from lib.local.loading import load",
        "from lib.request import Request",
        "from lib.scores import summarise_answer",
    ):
        with pytest.raises(ImportError, match=r"is now lib\.\S+\. Change the import"):
            exec(line)


@pytest.mark.parametrize("name", OF_SCORES)
def test_a_former_function_of_scores_is_in_its_module(name: str) -> None:
    assert hasattr(importlib.import_module("lib.scores.token_scores"), name)


def test_the_notebook_example_of_the_readme_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(from lib import .*?)```", text, re.DOTALL)
    imported = re.search(r"from lib import ([\w, ]+)", code)
    assert imported is not None
    assert set(imported[1].split(", ")) <= set(lib.__all__)
