"""One word for one thing: what docs/glossary.md rules out is in no text of Candor, on screen, in docs or in code."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

WORDS = (
    r"somebody|nobody|whoever|anew|asleep|awake|likelier|likeliest|rivals?|surer|surest",
    r"so many|so long(?! as)|(?<!there )(?:is|are) none|as it stands|goes before|goes on|told apart",
    r"held against|put there",
    r"what came|what had come|what was written|what it reads|what is given|given texts?|texts? that (?:is|are) given",
    r"in no mean|counts? in no|stands? outside|drawn answers|draws? again|tokens to write|least sure|do not keep",
    r"kept in the history|ask again|asked again|replies|reply",
)
STOP = re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE)
CODE = [ROOT / "app.py", *(path for top in ("lib", "components", "pages") for path in (ROOT / top).rglob("*.py"))]
OTHER = [*(ROOT / "components").glob("*/browser/*.js"), *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
FORMER = {"with-likeliest"}  # a setting of version 0.1 that is still read
# The page that lists the words, and the history of what was said.
EXEMPT = {"docs/glossary.md", "CHANGELOG.md", "docs/licences.md", "lib/doubts/function_words.py"}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and texts of a file: of code, its strings and comments."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(source.splitlines(), 1)
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def found(path: Path) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for line, text in texts(path)
        if text not in FORMER
        for match in STOP.finditer(text)
    ]


@pytest.mark.parametrize("path", sorted([*CODE, *OTHER]), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_uses_a_word_that_the_glossary_rules_out(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() in EXEMPT:
        return
    assert found(path) == []


def test_the_list_finds_what_it_should() -> None:
    for text in ("The likeliest token", "asked so many times", "Nobody says it", "It goes on"):
        assert STOP.search(text), text
    for text in ("as long as it is there", "The most likely token", "so long as it lasts"):
        assert not STOP.search(text), text


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_loses_the_capitals_of_its_names(path: Path) -> None:
    """`str.capitalize` makes "SmolLM2" in a sentence "smollm2"; `formatting.capital` does not."""
    assert not re.search(r"\.capitalize\b(?!`)", path.read_text(encoding="utf-8"))
