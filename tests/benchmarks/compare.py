"""Score several texts after one prompt, sample several answers, and leave out parts of a prompt."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from lib.core.request import Message, Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.opening import open_local
from tests.benchmarks.engine import text_of
from tests.benchmarks.report import Figure, alternated, seconds

SENTENCES, WORDS, ANSWER = 12, 15, 30  # tokens each
TRANSLATE = "Translate into English: Battre le fer pendant qu'il est chaud"
PAIR = ["Strike while the iron is hot.", "Beat the iron while it is hot."]


def figures() -> Iterator[Figure]:
    """Yield each figure as soon as it is measured."""
    engine = open_local("embedded")
    for work in (_candidates, _samples, _leave_one_out):
        engine.prefix_cache.clear()  # so that no figure profits from the one before
        yield from work(engine)
    engine.close()


def _candidates(engine: LocalEngine) -> Iterator[Figure]:
    def cold(request: Request, texts: list[str]) -> None:
        engine.prefix_cache.clear()
        engine.score(request, texts)

    def one_at_a_time(request: Request, texts: list[str]) -> None:
        for text in texts:
            cold(request, [text])

    def faster(ours: Callable[[], object], request: Request, texts: list[str], rounds: int) -> float:
        measured, alone = alternated(ours, lambda: one_at_a_time(request, texts), rounds)
        return alone / measured

    prompt = Request(prompt=text_of(engine, 300))
    words = text_of(engine, 600).split()
    texts = [" " + " ".join(words[number * 24 : number * 24 + 24]) for number in range(8)]
    name = "eight candidates of 30 tokens after 300 ÷ one at a time, times as fast"
    yield Figure(name, faster(lambda: cold(prompt, texts), prompt, texts, 5), 3, True)

    chat = Request(messages=(Message("user", TRANSLATE),))

    pairs = []
    for _ in range(9):
        cold(chat, PAIR)
        pairs.append((seconds(lambda: engine.score(chat, PAIR)), seconds(lambda: one_at_a_time(chat, PAIR))))
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    name = "the published pair sharing its prompt's cache, as after samples ÷ one at a time, times as fast"
    yield Figure(name, theirs / ours, 2, True)
    # Two texts take at least as long as one, so this stays below 2.
    name = "… its prompt read for the first time, of at most 2"
    yield Figure(name, faster(lambda: cold(chat, PAIR), chat, PAIR, 15))


def _samples(engine: LocalEngine) -> Iterator[Figure]:
    request = Request(prompt=text_of(engine, 100), max_tokens=64, temperature=1.0, seed=1, n=8)
    each = [replace(request, n=1, seed=number) for number in range(8)]

    def rate(requests: list[Request]) -> float:
        began, written = time.perf_counter(), 0
        for asked in requests:
            written += sum(len(done.generated) for done in engine.complete(asked))
        return written / (time.perf_counter() - began)

    rate(each[:1])
    together, alone = zip(*[(rate([request]), rate(each)) for _ in range(3)], strict=True)
    yield Figure(
        "eight samples in one batch ÷ one after another, 100 tokens and 64 new ones, tokens/s",
        sorted(together)[1] / sorted(alone)[1], 3, True,
    )  # fmt: skip


def _leave_one_out(engine: LocalEngine) -> Iterator[Figure]:
    words = text_of(engine, 400).split()
    sentences = [" ".join(words[number * WORDS : number * WORDS + WORDS - 4]) + ". " for number in range(SENTENCES)]
    whole, answer = "".join(sentences), " ".join(words[200:225])
    left = ["".join(sentences[:number] + sentences[number + 1 :]) for number in range(SENTENCES)]
    requests = [Request(prompt=prompt) for prompt in [whole, *left]]
    ours, theirs = alternated(
        lambda: engine.score_under(requests, answer),
        lambda: [engine.score(request, [answer]) for request in requests[1:]],
        5,
    )
    yield Figure(f"leave one of {SENTENCES} sentences out, with the whole ÷ {SENTENCES} passes", ours / theirs, 0.75)
    yield Figure("… by arithmetic: tokens read", _bound(engine, whole, left, answer))


def _bound(engine: LocalEngine, whole: str, left: list[str], answer: str) -> float:
    """Tokens to read of the whole and after the gaps ÷ tokens of all separate passes."""
    read = [engine.loaded.tokenizer.ids(prompt + answer, special=True) for prompt in [whole, *left]]
    ours = len(read[0])
    for ids in read[1:]:
        same = next((place for place, (one, other) in enumerate(zip(ids, read[0], strict=False)) if one != other), 0)
        ours += len(ids) - same
    return ours / sum(map(len, read[1:]))
