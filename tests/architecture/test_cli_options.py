"""Every command of `python -m lib` and each of its options is documented in the README or in docs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest

from lib.cli import argument_parser
from tests.support.paths import ROOT

PAGES = [page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands by name."""
    (found,) = [each for each in argument_parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(found.choices)


def options() -> Iterator[tuple[str, str]]:
    """Every option as (command, option)."""
    for command, parser in commands().items():
        for action in parser._actions:
            if not isinstance(action, argparse._HelpAction):
                yield from ((command, option) for option in action.option_strings)


def pages_about(command: str) -> list[str]:
    """The pages that show how to run a command."""
    called = re.compile(rf"(?:python -m lib|candor) {command}\b")
    return [page for page in PAGES if called.search(page)]


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_is_documented(command: str) -> None:
    assert pages_about(command)


@pytest.mark.parametrize(("command", "option"), list(options()))
def test_every_option_is_documented(command: str, option: str) -> None:
    written = re.compile(rf"(?<![\w-]){option}(?![\w-])")
    assert any(written.search(page) for page in pages_about(command))
