"""The exported function: it compiles, decides as the policy does, and holds no text but as a string."""

from __future__ import annotations

import ast
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lib.doubts.flags import doubts_of
from lib.policies.measures import DOUBTFUL_TERMS, MEASURES, value_of
from lib.policies.policy import READY, Action, Policy, Rule, decide
from lib.policies.policy_code import as_python, literal
from lib.scores.confidence import SCORES
from tests.support.answers import answer_of
from tests.support.paths import ROOT
from tests.support.strategies import NAN, completion_of, tokens_of

INF = math.inf
HOSTILE = [
    '"""', "'''", '\\"""', "\\", "\\\\", "\n", "\r\n", "'\n\"", '"); import os; os._exit(1)  # ', "{}", "%s", "\0",
    "\u202e\u2066txt\u2069", "\u2028", "\ufeff", "\U0001f600", "\\N{DIGIT ONE}", "\x85", "\x1b[31m", "@MISSING@",
]  # fmt: skip
TERM_NAMES = {"re", "OPENERS", "ALONE", "LETTER", "MARK", "WORD", "JOINS", "most_doubtful_term", "kind_of"}
TERMS = Policy("P", DOUBTFUL_TERMS, (Rule(Action.VERIFY, 1.0), Rule(Action.ANSWER, -INF)))
TEXTS = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30)), max_size=12).map("".join)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    measure = draw(st.sampled_from(sorted(MEASURES)))
    about = MEASURES[measure]
    numbers = st.floats(max(about.low, -20), min(about.high, 20)).filter(lambda each: each != about.low)
    thresholds = sorted(draw(st.lists(numbers, unique=True, max_size=5)), reverse=True)
    rules = tuple(Rule(draw(st.sampled_from(Action)), each) for each in (*thresholds, -INF))
    texts = draw(st.dictionaries(st.sampled_from(Action), TEXTS, max_size=3))
    name = draw(TEXTS.map(lambda each: each[:100]).filter(str.strip))
    return Policy(name, measure, rules, draw(st.sampled_from(Action)), tuple(texts.items()), draw(TEXTS))


def run(policy: Policy) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(as_python(policy), "policy.py", "exec"), names)
    return names


@given(policies(), st.lists(st.floats() | st.floats(-1, 2)))
def test_the_function_decides_as_the_policy_does(policy: Policy, values: list[float]) -> None:
    names = run(policy)
    function = names["decide"]
    assert callable(function)
    if policy.measure not in SCORES:
        for value in (*values, *(rule.at_least for rule in policy.rules)):
            assert function(value) == decide(policy, value)
        assert function(None) == policy.missing
    assert names["NAME"] == policy.name
    assert names.get("NOTE", "") == policy.note
    assert names.get("TEXTS", {}) == {str(action): text for action, text in policy.texts}
    own = TERM_NAMES if policy.measure == DOUBTFUL_TERMS else set()
    assert set(names) <= {"__builtins__", "__doc__", "NAME", "NOTE", "TEXTS", "decide", *own}


LOGPROBS = st.lists(st.floats(-30, 0, width=32) | st.sampled_from([NAN, -INF]), max_size=40)


@given(policies(), st.sampled_from(sorted(SCORES)), LOGPROBS)
def test_from_logprobs_it_decides_as_the_policy_does(policy: Policy, measure: str, logprobs: list[float]) -> None:
    rules = tuple(rule for rule in policy.rules if rule.at_least < 0)
    policy = replace(policy, measure=measure, rules=rules)
    done = completion_of(tokens_of("?"), tokens_of(*map(str, range(len(logprobs))), logprobs=logprobs))
    value = value_of(measure, done)
    assume(not any(abs(value - rule.at_least) < 1e-6 for rule in rules))  # sums are rounded in another order
    function = run(policy)["decide"]
    assert callable(function)
    assert function(logprobs) == decide(policy, value)
    assert function([None if math.isnan(each) else max(each, -9999.0) for each in logprobs]) == decide(policy, value)


def test_quantiles_of_all_lengths() -> None:
    rules = (Rule(Action.ANSWER, -0.5), Rule(Action.VERIFY, -INF))
    function = run(Policy("p", "tenth", rules))["decide"]
    assert callable(function)
    for length in range(1, 200):
        for low in (length // 10, length // 10 + 1):  # tokens below the threshold
            values = [-1.0] * low + [-0.1] * (length - low)
            expected = SCORES["tenth"].of(np.array(values))
            assert (function(values) == "answer") == (expected >= -0.5)


@given(TEXTS, st.integers(0, 60), st.sampled_from([0, 4]))
def test_a_literal_is_its_text_in_ascii(text: str, before: int, inner: int) -> None:
    made = literal(text, before, inner=inner)
    assert made.isascii()
    assert ast.literal_eval(made) == text
    assert isinstance(ast.parse(made, mode="eval").body, ast.Constant)


@given(policies())
def test_no_text_of_a_policy_is_code(policy: Policy) -> None:
    tree = ast.parse(as_python(policy))
    plain = ast.parse(as_python(replace(policy, name="n", note="n" if policy.note else "", texts=tuple(
        (action, "t") for action, _ in policy.texts
    ))))  # fmt: skip

    def shape(tree: ast.AST) -> list[str]:
        return [type(node).__name__ for node in ast.walk(tree)]

    assert shape(tree) == shape(plain)


def formatted(code: list[str], folder: Path) -> list[str]:
    """The files that ruff would change, with its defaults."""
    for number, each in enumerate(code):
        (folder / f"policy_{number}.py").write_text(each, encoding="ascii")
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run([ruff, "format", "--isolated", "--check", "."], cwd=folder, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("Would")]


def test_it_is_formatted_as_ruff_would(tmp_path: Path) -> None:
    found: list[str] = []

    @settings(max_examples=150, database=None)
    @given(policies())
    def collect(policy: Policy) -> None:
        found.append(as_python(policy))

    collect()
    lengths = [
        as_python(replace(READY["Research"], name="n" * (length % 90 + 1), note="w" * length, texts=(
            (Action.VERIFY, "v" * length), (Action.CLARIFY, 'q"' * (length // 2)),
        )))
        for length in range(1, 200)
    ]  # fmt: skip
    ready = [
        as_python(replace(each, measure=name, rules=each.rules[-1:])) for each in READY.values() for name in MEASURES
    ]
    assert formatted([*found, *lengths, *ready], tmp_path) == []


@pytest.mark.parametrize("name", READY)
def test_it_is_short_and_stands_alone(name: str, tmp_path: Path) -> None:
    code = as_python(READY[name])
    assert len(code.splitlines()) < (90 if READY[name].measure == DOUBTFUL_TERMS else 50)
    (tmp_path / "policy.py").write_text(code)
    missing = "[]" if READY[name].measure in SCORES else "None"
    call = f"import sys; sys.path.insert(0, '.'); import policy; print(policy.decide({missing}))"
    done = subprocess.run([sys.executable, "-I", "-c", call], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "send to a person"
    assert str(ROOT) not in code


WORDS = [
    (" Rome",), (" New", "ville"), (" is",), (" a",), (" dog",), (" 12",), (" 3", ".", "5"), (" It",), (" Zorg",),
    (" “", "Lima"), (" «Lima",), (" $500",), (" €", "500"), ("—Paris",), ("—", "Paris"), (" (", "Oslo"), (" Élan",),
    (" 利马",), (" 利", "马"), (" مدي", "نة"), (" दि", "ल्ली"), (" O", "’", "Brien"), (" U", ".", "S"),
    (" Za", "\u0301", "pad"), (" J", ".", " Smith"), (" Smith", " &", " Wesson"),
]  # fmt: skip
UNITS = st.tuples(st.sampled_from(WORDS), st.sampled_from([(), (), (",",), (".",)])).map(
    lambda unit: (*unit[0], *unit[1])
)
Exported = Callable[[Sequence[tuple[str, float | None]]], float | None]


@pytest.fixture(scope="module")
def most_doubtful() -> Exported:
    return run(TERMS)["most_doubtful_term"]  # type: ignore[return-value]


@given(st.lists(UNITS, max_size=12), st.randoms(use_true_random=False))
def test_of_plain_sentences_the_exported_term_is_candors(
    most_doubtful: Exported, units: list[tuple[str, ...]], random: Random
) -> None:
    texts = [text for unit in units for text in unit]
    logprobs = [-random.uniform(0.01, 5) for _ in texts]
    done = answer_of("".join(texts), logprobs, pieces=texts)
    scores = doubts_of(done, "sum").scores
    expected = pytest.approx(float(scores.max(initial=0.0)), abs=1e-4) if texts else None
    assert most_doubtful(list(zip(texts, logprobs, strict=True))) == expected


@pytest.mark.parametrize("text", ["“Lima", "«Lima", "$500", "—Paris", "city—Paris", "利马", "(Oslo)", "'Oslo'", "ليما"])
def test_what_is_around_a_term_does_not_hide_it(most_doubtful: Exported, text: str) -> None:
    assert most_doubtful([(" the", -0.1), (f" {text}", -3.0), (" is", -0.1)]) == 3.0


@pytest.mark.parametrize("missing", [None, NAN])
def test_a_term_without_logprobs_has_the_missing_action(most_doubtful: Exported, missing: float | None) -> None:
    decide_by = run(TERMS)["decide"]
    assert callable(decide_by)
    for tokens in (
        [], [("Lima", missing)], [("yes", missing), (" is", missing)], [("Lima", missing), (" is Paris", -9.0)],
        [("Li", -0.1), ("ma", missing)],
    ):  # fmt: skip
        assert most_doubtful(tokens) is None
        assert decide_by(most_doubtful(tokens)) == Action.PERSON
    assert most_doubtful([("yes", missing), (" Lima", -2.0)]) == 2.0, "a word that is not a term does not count"
    assert most_doubtful([("yes", -2.0)]) == 0.0


@given(st.lists(st.tuples(st.text(max_size=8), st.floats(-30, 0) | st.sampled_from([None, NAN, -INF]))))
def test_whatever_the_tokens_the_term_is_a_doubt_or_unknown(
    most_doubtful: Exported, tokens: list[tuple[str, float | None]]
) -> None:
    found = most_doubtful(tokens)
    assert found is None or found >= 0


def test_a_long_answer_takes_little_time(most_doubtful: Exported) -> None:
    start = time.process_time()
    for text in ("Rome ", "利", "a.", "3,", "A\u0301", "'", " "):
        most_doubtful([(text, -0.5)] * 20_000)
    assert time.process_time() - start < 5
