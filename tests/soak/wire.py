"""Mutated responses, as many as wanted: each gives a clear error or a completion that says nothing untrue.

Then large texts that are meant to take long: each is read in time linear in its length.

python -m tests.soak.wire 1000000 [seed]
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import time
import traceback
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from lib.core.completion import Completion
from lib.display.token_map_view import TokenMapView
from lib.errors import CandorError
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.encode import ChunkWriter, encode, without_nulls
from lib.wire.formats import Format, asked_top
from lib.wire.saved_responses import decoded, read_saved
from lib.wire.stream_decoder import StreamReader
from tests.support import hostile_responses
from tests.support.paths import FOX
from tests.support.wire_strategies import tokenizer

_ODD: list[Any] = [
    None, True, -1, 0, 0.5, 1e308, -1e308, 2**31, 2**63, 2**70, "", "x", "\ud800", "\ufffd", "⟨5⟩", "<script>", [], {},
    [None], [[]], {"1": -0.5}, {"1": None}, {"1": {"logprob": None}}, {"1": {"logprob": -1, "rank": 0}}, {"": -1},
    {"-1": -1}, {"1e3": -1}, {"007": -1}, -9999.0, float("nan"), float("-inf"), float("inf"), "stop", "token_id:7",
]  # fmt: skip
_SNIPPETS = (b"null", b"{}", b"[", b"]", b'"', b"\\", b"-", b"e9", b",", b":", b"NaN", b"-Infinity", b"\xff", b"\x00")


@cache
def fixtures() -> list[bytes]:
    """Responses of every format, with and without their requests."""
    from lib.core.request import Message, Request
    from tests.lib.engines.bedrock.test_engine import answer

    found = [FOX.read_bytes(), json.dumps(json.loads(FOX.read_text())["response"]).encode()]
    for form in Format:
        chat = form is Format.CHAT
        request = Request(prompt=None if chat else "the x", messages=(Message("user", "x"),) if chat else (), k=2)
        done = answer(request)
        found.append(json.dumps(encode(done, form)).encode())
        found.append(json.dumps(without_nulls(encode(done, form, token_ids=True))).encode())
        writer = ChunkWriter(done, form, top=asked_top(form, 2))
        found += [json.dumps(chunk).encode() for chunk in writer.opening()]
        found.append(json.dumps(writer.chunk(done.generated, done.text, "stop")).encode())
    return found


def mutated(dice: random.Random) -> bytes:
    """A fixture with a few things wrong, as a document or as bytes."""
    data = dice.choice(fixtures())
    if dice.random() < 0.7:
        document = json.loads(data)
        for _ in range(dice.randint(1, 3)):
            document = changed(document, dice)
        return json.dumps(document, sort_keys=dice.random() < 0.1).encode("utf-8", "surrogatepass")
    return spoilt(data, dice)


def spoilt(data: bytes, dice: random.Random) -> bytes:
    """The bytes with some of them cut off, put in or left out."""
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(data) + 1)
        change = dice.random()
        if change < 0.3:
            data = data[:place]
        elif change < 0.6:
            data = data[:place] + dice.choice(_SNIPPETS) + data[place:]
        else:
            data = data[:place] + data[place + dice.randint(1, 40) :]
    return data


def changed(value: Any, dice: random.Random) -> Any:
    """The value with one thing changed somewhere in it."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(list(value))
        change = dice.random()
        if change < 0.1:
            return {name: each for name, each in value.items() if name != key}
        if change < 0.15:
            return {str(dice.choice([*_ODD, 927, 35308])): each for each in value.values()}
        return {name: changed(each, dice) if name == key else each for name, each in value.items()}
    if isinstance(value, list) and value and dice.random() < 0.9:
        place = dice.randrange(len(value))
        change = dice.random()
        if change < 0.1:
            return value[:place] + value[place + 1 :]
        if change < 0.2:
            return [*value[:place], value[place], *value[place:]]
        return [changed(each, dice) if number == place else each for number, each in enumerate(value)]
    return dice.choice(_ODD)


def check(data: bytes, reader: Tokenizer | None) -> None:
    """Read it in every way. Raises what is no clear error, and AssertionError for a completion that cannot be."""
    for read in (_whole, _streamed):
        problem = None
        try:
            for done in read(data, reader):
                _is_sound(done)
        except CandorError as error:
            problem = error
        assert problem is None or (problem.cause and problem.remedy), problem


def _whole(data: bytes, reader: Tokenizer | None) -> list[Completion]:
    return [done for saved in read_saved(data) for done in saved.completions(reader)]


def _streamed(data: bytes, reader: Tokenizer | None) -> list[Completion]:
    from lib.core.request import Request
    from lib.core.stream import fold

    stream = StreamReader(Request(prompt="the x", k=2), reader)
    return list(fold([*stream.feed(data), *stream.close()]))


def _is_sound(done: Completion) -> None:
    for tokens in (done.prompt, done.generated):
        scored = ~np.isnan(tokens.logprobs)
        assert (tokens.refs[scored] >= 0).all(), "a score of a token that is not known"
        listed = tokens.top_logprobs
        later = listed[:, 1:] > listed[:, :-1]
        assert not later.any(), "alternatives out of order"
        assert (np.isnan(listed) == (tokens.top_refs < 0)).all(), "an alternative without a score"
        ranked = (tokens.ranks > 0) & scored
        better = (listed > tokens.logprobs[:, None]).sum(axis=1) + 1
        assert (tokens.ranks[ranked] >= better[ranked]).all(), "a rank better than the list allows"
    assert TokenMapView(done).packed()
    json.dumps(decoded(done))


def work(task: tuple[int, int]) -> list[str]:
    """`count` mutations from a seed; what went wrong, with the data."""
    seed, count = task
    dice = random.Random(seed)
    readers = (None, tokenizer())
    problems = []
    for _ in range(count):
        data = mutated(dice)
        try:
            check(data, dice.choice(readers))
        except Exception:
            problems.append(f"{data[:2000]!r}\n{traceback.format_exc()}")
    return problems


def run(count: int, seed: int, report: Callable[[str], None]) -> int:
    """How many of `count` mutations went wrong."""
    size = 2000
    tasks = [(seed + place, min(size, count - place)) for place in range(0, count, size)]
    problems = began = 0
    began = int(time.monotonic())
    with multiprocessing.get_context("fork").Pool() as pool:
        for number, found in enumerate(pool.imap_unordered(work, tasks), 1):
            problems += len(found)
            for each in found[:3]:
                report(each)
            if number % 25 == 0:
                report(f"{min(number * size, count):,} of {count:,} in {int(time.monotonic()) - began} s")
    return problems


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    problems = run(count, seed, lambda line: print(line, flush=True))
    print(f"{count:,} mutated responses from seed {seed}: {problems:,} problems")
    slow = [name for name in hostile_responses.SHAPES if hostile_responses.seconds_of(name, 1_000_000) > 60]
    print(f"{len(hostile_responses.SHAPES)} large texts: {len(slow)} take more than 60 s {slow or ''}".rstrip())
    problems += len(slow)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
