"""One request, from its ids to its last delta, as an iterator of short turns at the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from lib.answer import AnswerReader, Released
from lib.completion import Completion, Delta, End, Timing
from lib.local.loading import LoadedModel
from lib.local.prompts import Rendered, prompt_kinds
from lib.local.reader import Reader, Scores, Step, join, read, score, scored_tokens
from lib.local.sampling import choose
from lib.request import Request
from lib.tokens import NO_TOKENS, Kind, Tokens

T = TypeVar("T")


@dataclass(eq=False)
class _Sample:
    """One of the n samples while it is being written."""

    number: int
    reader: AnswerReader
    die: np.random.Generator
    waiting: dict[int, tuple[int, Scores]] = field(default_factory=dict)  # arrived, not yet released
    written: int = 0

    def take(self, token: int, scores: Scores) -> int:
        """Remember a token and its one row of scores; returns its number."""
        self.waiting[self.written] = (token, scores)
        self.written += 1
        return self.written - 1


def generate(
    loaded: LoadedModel, reader: Reader, request: Request, rendered: Rendered, asked: float
) -> Generator[list[Delta] | Step, Any, None]:
    """Deltas of all samples, one list per turn. Prompt and answer are scored by the very passes that read them.

    A `Step` asks whoever runs this to `send` its logits, which may be computed together with those of others.
    asked: `time.monotonic()` when the request was handed in.
    """
    began = time.monotonic()
    limit, warnings = answer_limit(loaded, request, len(rendered.ids))
    cache = reader.new_cache(len(rendered.ids) + limit)
    pending = read(reader, rendered.ids, cache, request.k, scored=request.prompt_scores)
    scores, last = yield from in_turns(pending)
    start = Completion(
        request=request,
        model=loaded.name,
        prompt=scored_tokens(loaded, rendered.ids, scores, prompt_kinds(loaded, rendered.ids)),
        generated=NO_TOKENS,
        text="",
        vocabulary_size=reader.vocabulary_size,
        warnings=(*loaded.warnings, *warnings),
        provenance=loaded.provenance,
    )
    samples = [
        _Sample(number, AnswerReader(request.stop, rendered.text), _die(request.seed, number))
        for number in range(request.n)
    ]
    first: float | None = None

    def timing() -> Timing:
        return Timing(began - asked, None if first is None else first - asked, time.monotonic() - asked)

    deltas = [Delta(sample.number, start=start) for sample in samples]
    if limit == 0:
        yield [*deltas, *(Delta(sample.number, end=End("length", timing())) for sample in samples)]
        return
    logits = last.expand(request.n, -1)
    chosen: Any = None
    if request.n > 1:
        reader.select(cache, [0] * request.n)
    active = samples
    for turn in range(limit):
        chosen = choose(logits, request.temperature, request.top_p, [sample.die for sample in active])
        scores = score(logits, chosen, request.k)
        first = first or time.monotonic()
        staying = []
        for row, (sample, token) in enumerate(zip(active, chosen.tolist(), strict=True)):
            delta = _advance(loaded, sample, token, _row(scores, row), final=turn + 1 == limit, timing=timing)
            if delta.end is None:
                staying.append(row)
            if delta.end is not None or delta.generated is not None:
                deltas.append(delta)
        if staying and len(staying) < len(active):
            reader.select(cache, staying)
            chosen = chosen[staying]
        active = [active[row] for row in staying]
        if not active:
            yield deltas
            return
        logits = yield Step(deltas, chosen, cache)
        deltas = []


def without_gradients(work: Generator[T, Any, None]) -> Generator[T, Any, None]:
    """The same turns, each in torch's inference mode, which belongs to a thread and must not outlast a turn."""
    import torch

    answer: Any = None
    while True:
        with torch.inference_mode():
            try:
                given = work.send(answer)
            except StopIteration:
                return
        answer = yield given


def in_turns(steps: Generator[None, None, T]) -> Generator[list[Any], None, T]:
    """The steps as turns that have nothing to report yet; returns what the steps return."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        yield []


def _advance(
    loaded: LoadedModel, sample: _Sample, token: int, scores: Scores, *, final: bool, timing: Callable[[], Timing]
) -> Delta:
    """Give a sample its next token; the delta holds what is settled by it, and the end if that was it."""
    number = sample.take(token, scores)
    if token in loaded.eos_ids:
        rest = sample.reader.end()
        released = Released((*rest.tokens, (number, Kind.STOP)), rest.text)
        return Delta(sample.number, None, _tokens(loaded, sample, released), released.text, End("stop", timing()))
    pieces = loaded.vocabulary.pieces
    released = sample.reader.push(pieces.bytes_of(token), bool(pieces.special[token]))
    reason = "stop" if released.stopped else "length" if final else None
    if reason == "length":
        rest = sample.reader.end()
        released = Released(released.tokens + rest.tokens, released.text + rest.text)
    end = End(reason, timing()) if reason else None
    return Delta(sample.number, None, _tokens(loaded, sample, released), released.text, end)


def _tokens(loaded: LoadedModel, sample: _Sample, released: Released) -> Tokens | None:
    if not released.tokens:
        return None
    rows = [sample.waiting.pop(number) for number, _ in released.tokens]
    kinds = np.array([kind for _, kind in released.tokens], np.uint8)
    return scored_tokens(loaded, [token for token, _ in rows], join([each for _, each in rows]), kinds)


def _row(scores: Scores, row: int) -> Scores:
    own = slice(row, row + 1)
    return Scores(scores.logprobs[own], scores.ranks[own], scores.top_ids[own], scores.top_logprobs[own])


def _die(seed: int | None, number: int) -> np.random.Generator:
    return np.random.default_rng(None if seed is None else [seed, number])


def answer_limit(loaded: LoadedModel, request: Request, read: int) -> tuple[int, list[str]]:
    """How many tokens the answer may have, and a warning where the context leaves fewer than were asked for."""
    room = request.max_tokens if loaded.context is None else loaded.context - read
    if room >= request.max_tokens:
        return request.max_tokens, []
    return room, [f"The context of {loaded.name} leaves room for {room:,} tokens of answer after this prompt."]
