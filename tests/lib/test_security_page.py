"""docs/security.md names files that are there, and the limits that are in force."""

from __future__ import annotations

import re

from lib import access
from tests.browser import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:lib|components|tests)/[\w/.]+)`", PAGE))
    assert len(named) > 25
    assert [each for each in sorted(named) if not (ROOT / each).exists()] == []


def test_the_shares_are_those_in_force() -> None:
    shares = dict(re.findall(r"^\| ([a-z][^|]+) \| ([\d,]+(?: MB)?) \|$", PAGE, flags=re.MULTILINE))
    assert list(shares.values()) == [
        str(access.MOST_JOBS),
        f"{access.MOST_TOKENS:,}",
        f"{access.MOST_CHARACTERS:,}",
        f"{access.MOST_UPLOADED} MB",
        f"{access.MOST_IMPORTED // 1_000_000} MB",
        f"{access.MOST_STORED // 1_000_000} MB",
    ]
