"""Scoring several texts after one prompt, sampling several answers, and leaving out parts of a prompt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from lib.local.engine import LocalEngine
from lib.local.loading import load
from lib.request import Message, Request
from tests.benchmarks.engine import text_of
from tests.benchmarks.report import Figure, alternated

SENTENCES, WORDS, ANSWER = 12, 15, 30  # tokens each
TRANSLATE = "Translate into English: Battre le fer pendant qu'il est chaud"
PAIR = ["Strike while the iron is hot.", "Beat the iron while it is hot."]


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    loaded = load("embedded")
    engine, bare = LocalEngine(loaded), LocalEngine(loaded, kept=0)
    yield from _candidates(engine, bare)
    yield _samples(bare)
    yield from _leave_one_out(bare)
    for each in (engine, bare):
        each.close()


def _candidates(engine: LocalEngine, bare: LocalEngine) -> Iterator[Figure]:
    """engine: keeps what it has read of a prompt; bare: does not."""
    prompt = Request(prompt=text_of(bare, 300))
    words = text_of(bare, 600).split()
    texts = [" " + " ".join(words[number * 24 : number * 24 + 24]) for number in range(8)]
    ours, theirs = alternated(
        lambda: bare.score(prompt, texts), lambda: [bare.score(prompt, [text]) for text in texts], 5
    )
    yield Figure("eight candidates of 30 tokens after 300 ÷ one at a time, times as fast", theirs / ours, 3, True)
    chat = Request(messages=(Message("user", TRANSLATE),))
    ours, theirs = alternated(lambda: bare.score(chat, PAIR), lambda: [bare.score(chat, [text]) for text in PAIR], 9)
    yield Figure(
        "the published pair, its prompt read for the first time ÷ one at a time, times as fast", theirs / ours, 2, True
    )
    ours, theirs = alternated(lambda: engine.score(chat, PAIR), lambda: [bare.score(chat, [text]) for text in PAIR], 9)
    yield Figure("… its prompt read before, as after samples ÷ one at a time, times as fast", theirs / ours, 2, True)


def _samples(bare: LocalEngine) -> Figure:
    request = Request(prompt=text_of(bare, 100), max_tokens=64, temperature=1.0, seed=1, n=8)
    each = [replace(request, n=1, seed=number) for number in range(8)]

    def rate(requests: list[Request]) -> float:
        began, written = time.perf_counter(), 0
        for asked in requests:
            written += sum(len(done.generated) for done in bare.complete(asked))
        return written / (time.perf_counter() - began)

    rate(each[:1])
    together, alone = zip(*[(rate([request]), rate(each)) for _ in range(3)], strict=True)
    return Figure(
        "eight samples in one batch ÷ one after another, 100 tokens and 64 new ones, tokens/s",
        sorted(together)[1] / sorted(alone)[1], 3, True,
    )  # fmt: skip


def _leave_one_out(bare: LocalEngine) -> Iterator[Figure]:
    words = text_of(bare, 400).split()
    sentences = [" ".join(words[number * WORDS : number * WORDS + WORDS - 4]) + ". " for number in range(SENTENCES)]
    whole, answer = "".join(sentences), " ".join(words[200:225])
    left = ["".join(sentences[:number] + sentences[number + 1 :]) for number in range(SENTENCES)]
    requests = [Request(prompt=prompt) for prompt in [whole, *left]]
    ours, theirs = alternated(
        lambda: bare.score_under(requests, answer),
        lambda: [bare.score(request, [answer]) for request in requests[1:]],
        5,
    )
    yield Figure(f"leave one of {SENTENCES} sentences out, with the whole ÷ {SENTENCES} passes", ours / theirs, 0.75)
    yield Figure("… by arithmetic: tokens read", _bound(bare, whole, left, answer))


def _bound(bare: LocalEngine, whole: str, left: list[str], answer: str) -> float:
    """Tokens that have to be read of the whole and of what follows the gaps ÷ those of all passes."""
    read = [bare.loaded.tokenizer(prompt + answer)["input_ids"] for prompt in [whole, *left]]
    ours = len(read[0])
    for ids in read[1:]:
        same = next((place for place, (one, other) in enumerate(zip(ids, read[0], strict=False)) if one != other), 0)
        ours += len(ids) - same
    return ours / sum(map(len, read[1:]))
