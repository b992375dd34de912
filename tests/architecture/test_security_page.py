"""docs/security.md names files that are there, and the limits that are in force."""

from __future__ import annotations

import re

from lib.access import visitor
from tests.support.browser import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:lib|components|tests)/[\w/.]+)`", PAGE))
    assert len(named) > 25
    assert [each for each in sorted(named) if not (ROOT / each).exists()] == []


def test_the_shares_are_those_in_force() -> None:
    shares = dict(re.findall(r"^\| ([a-z][^|]+) \| ([\d,]+(?: MB)?) \|$", PAGE, flags=re.MULTILINE))
    assert list(shares.values()) == [
        str(visitor.MOST_JOBS),
        f"{visitor.MOST_TOKENS:,}",
        f"{visitor.MOST_CHARACTERS:,}",
        f"{visitor.MOST_UPLOADED} MB",
        f"{visitor.MOST_IMPORTED // 1_000_000} MB",
        f"{visitor.MOST_STORED // 1_000_000} MB",
    ]
