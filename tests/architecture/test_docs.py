"""What can be set or run is documented: environment variables, make targets, groups of benchmarks."""

from __future__ import annotations

import re

from tests.benchmarks.__main__ import GROUPS
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = [ROOT / "app.py", *(path for top in ("lib", "components", "pages") for path in (ROOT / top).rglob("*.py"))]


def test_every_variable_is_in_the_readme() -> None:
    used = {name for path in CODE for name in re.findall(r"\bCANDOR_[A-Z_]+\b", path.read_text(encoding="utf-8"))}
    assert len(used) > 10
    table = README[README.index("| variable | meaning |") :]
    assert used == set(re.findall(r"\bCANDOR_[A-Z_]+\b", table))


def test_every_make_target_is_in_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()) | {"lock", "licences"}
    inner = {"setup", "test-in-browser", "test-elsewhere", "unit"}
    assert {name for name in named - inner if f"make {name}" not in README} == set()


def test_every_group_of_benchmarks_is_in_the_contributors_page() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for name in GROUPS if f"`{name}`" not in page] == []


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    missing = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert missing == []
