"""Patterns that users write: whatever they are, compiling them takes little memory and time."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import InvalidPattern
from lib.evaluation.grading import Grader, Rule
from lib.segmentation.cells import split
from lib.segmentation.groups import matches
from lib.segmentation.patterns import LONGEST_PATTERN, compiled
from tests.support.paths import ROOT
from tests.support.scripted_engine import tokens_of

TOKENS = tokens_of("a")
CELLS = split(TOKENS.pieces, TOKENS.refs)
TOO_MUCH = [
    "(?:(?:(?:a{1000}){1000}){1000}){1000}",
    "(?:(?:a?){1000}){1000}",
    "(?:a{999}){,999}",
    "(?i)(?:" + "ß?" * 240 + "){1000}",
    "(?x)a{10 00}{1000}",
]


@pytest.mark.parametrize("pattern", TOO_MUCH)
def test_labels_and_the_map_refuse_the_same(pattern: str) -> None:
    with pytest.raises(InvalidPattern) as of_map:
        matches(CELLS, pattern)
    with pytest.raises(InvalidPattern) as of_label:
        Grader(Rule.PATTERN).check((pattern,))
    assert str(of_map.value) == str(of_label.value)


ATOMS = st.sampled_from(["a", "a?", "(?:a|b)", r"\p{L}?", "(?i:ß?)", "[a--b]", "."])
BOUNDS = st.sampled_from(["{2}", "{10}", "{1000}", "{,1000}", "{0,30}", "{999999999999}", "*", "+?", ""])
NESTED = st.recursive(
    ATOMS, lambda of: st.tuples(of, of, BOUNDS).map(lambda parts: f"(?:{parts[0]}{parts[1]}){parts[2]}")
)


@settings(deadline=None)
@given(NESTED | st.text(max_size=40))
def test_any_pattern_is_compiled_fast_or_refused(pattern: str) -> None:
    began = time.monotonic()
    with contextlib.suppress(InvalidPattern):
        compiled(pattern)
    assert time.monotonic() - began < 1


def test_the_largest_pattern_takes_little_memory() -> None:
    repeats = 100
    pattern = "(?i)(?:" + "ß?" * ((LONGEST_PATTERN - 20) // 2) + f"){{{repeats}}}"
    code = (
        "import resource; from lib.segmentation.patterns import compiled; compiled('a');"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        f"compiled({pattern!r}); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000  # kB


@pytest.mark.parametrize(
    "pattern", [r"\d{4}-\d{2}-\d{2}", r"[A-Z]{3}\d{1,4}", "a{1000}", r"(?:\w+ ){1,50}", "x{a}", "{"]
)
def test_usual_patterns_are_compiled_once(pattern: str) -> None:
    assert compiled(pattern) is compiled(pattern)
