"""Combinations of faults and switches, and what must hold for each: a clear error, or an answer that is true."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.core.stream import fold
from lib.errors import CandorError
from lib.serve.behaviours import QUESTIONS
from lib.wire.formats import Format
from tests.support.serve_clients import Served

Fault = dict[str, Any]
_NONE: Fault = {}
_DIMENSIONS: dict[str, Sequence[Any]] = {
    "form": tuple(Format),
    "operation": ("invoke", "stream"),
    "transport": (
        _NONE,
        {"kind": "splits", "size": 40},
        {"kind": "cut", "after": 2},
        {"kind": "cut", "after": 2, "where": "within"},
        {"kind": "cut", "after": 2, "where": "reset"},
    ),
    "keys": (
        _NONE,
        {"kind": "sorted", "order": "text"},
        {"kind": "sorted", "order": "numbers"},
        {"kind": "missing", "field": "logprobs"},
        {"kind": "missing", "field": "usage"},
        {"kind": "missing", "field": "prompt_logprobs"},
        {"kind": "missing", "field": "stop_reason"},
    ),
    "trimmed": (_NONE, {"kind": "trimmed"}),
    "score": (_NONE, {"kind": "absent", "position": 1}),
    "error": (
        _NONE,
        {"kind": "error", "code": "ModelErrorException"},
        {"kind": "stream-error", "code": "ModelStreamErrorException", "after": 3},
        {"kind": "stream-error", "code": "ThrottlingException", "after": 0},
    ),
    "switch": (("", ""), *((name, each) for name, question in QUESTIONS.items() for each in question.settings[1:])),
}


@dataclass(frozen=True)
class Case:
    """A format, an operation, and what goes wrong."""

    form: Format
    operation: str
    faults: tuple[Fault, ...]
    switch: tuple[str, str]

    def __str__(self) -> str:
        wrong = [" ".join(map(str, fault.values())) for fault in self.faults]
        return ", ".join([self.form.name, self.operation, *wrong, "=".join(self.switch)])


def _case(values: Sequence[Any]) -> Case:
    form, operation, *faults, switch = values
    return Case(form, operation, tuple(fault for fault in faults if fault), switch)


# The switches that affect Candor's requests, by format. It sends none of the fields that the others concern.
_OPENAI = {"", "max-logprobs", "metrics", "done-marker", "count-headers"}
_MET = {
    Format.EARLY: {"", "second-entry", "stream-logprobs", "stream-prompt-logprobs", "count-headers"},
    Format.BEDROCK: {"", "second-entry", "stream-logprobs", "bedrock-prompt-logprobs", "count-headers"},
    Format.OPENAI: _OPENAI,
    Format.CHAT: _OPENAI,
}


def every_case() -> Iterator[Case]:
    """The full product, without combinations that a call cannot meet or that an error hides."""
    for values in itertools.product(*_DIMENSIONS.values()):
        case = _case(values)
        hidden = len(case.faults) > 1 and any(fault["kind"] == "error" for fault in case.faults)
        if case.switch[0] in _MET[case.form] and not hidden:
            yield case


def pairwise(seed: int = 0) -> list[Case]:
    """A small set of cases that covers every pair of settings, chosen greedily among random candidates."""
    dice, sizes = random.Random(seed), [len(values) for values in _DIMENSIONS.values()]
    places = list(itertools.combinations(range(len(sizes)), 2))
    missing = {(a, i, b, j) for a, b in places for i in range(sizes[a]) for j in range(sizes[b])}
    chosen = []
    while missing:
        a, i, b, j = min(missing)
        tries = [[dice.randrange(size) for size in sizes] for _ in range(30)]
        for each in tries:
            each[a], each[b] = i, j
        best = max(tries, key=lambda each: sum((a, each[a], b, each[b]) in missing for a, b in places))
        missing -= {(a, best[a], b, best[b]) for a, b in places}
        chosen.append(_case([values[i] for values, i in zip(_DIMENSIONS.values(), best, strict=True)]))
    return chosen


def request_for(form: Format, operation: str) -> Request:
    """What is asked in a case: prompt scores, too, where the format has them for this operation."""
    scored = form.scores_prompts and (operation == "invoke" or form is Format.EARLY)
    if form is Format.CHAT:
        return Request(messages=(Message("user", "abc"),), max_tokens=5, k=2, prompt_scores=scored)
    return Request(prompt="abc", max_tokens=5, k=2, prompt_scores=scored)


def ask(served: Served, form: Format, operation: str) -> Completion:
    """The answer that Candor's client reads. Raises CandorError."""
    engine, request = served.engine(form), request_for(form, operation)
    return engine.complete(request)[0] if operation == "invoke" else fold(engine.stream(request))[0]


def check(served: Served, case: Case, expected: Completion) -> str:
    """What is wrong with the outcome of a case, "" for nothing. expected: the answer without faults."""
    served.faults(*case.faults)
    name, setting = case.switch
    served.switches(**({name: setting} if name else {}))
    try:
        done = ask(served, case.form, case.operation)
    except CandorError as error:
        blamed = any(fault["kind"] in ("error", "stream-error", "cut") for fault in case.faults)
        blamed |= case.switch == ("max-logprobs", "1")  # two are asked for
        return "" if blamed and error.cause and error.remedy else f"refused without a reason: {error}"
    if not expected.text.startswith(done.text):
        return f"another text: {done.text!r}"
    for part in ("prompt", "generated"):
        if found := _untrue(getattr(done, part), getattr(expected, part)):
            return f"{part}: {found}"
    whole = len(done.generated) == len(expected.generated) and done.text == expected.text
    if done.stop_reason not in (expected.stop_reason, None) and not (
        done.stop_reason == "incomplete" and done.warnings
    ):
        return f"another end: {done.stop_reason}"
    return "" if whole or done.warnings else "something is missing, without a warning"


def _untrue(found: Any, expected: Any) -> str:
    count = len(found)
    if count > len(expected):
        return f"{count} tokens for {len(expected)}"
    known = (found.ids >= 0) & (expected.ids[:count] >= 0)
    if (found.ids[known] != expected.ids[:count][known]).any():
        return f"other tokens: {found.ids} for {expected.ids}"
    scored = ~np.isnan(found.logprobs) & ~np.isneginf(found.logprobs)
    # A stream that was given up may still share a pass with this one, which moves the last digits.
    if not np.allclose(found.logprobs[scored], expected.logprobs[:count][scored], atol=1e-4):
        return f"other scores: {found.logprobs} for {expected.logprobs}"
    return ""
