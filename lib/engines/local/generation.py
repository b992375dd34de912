"""One request, from its ids to its last delta, as an iterator of short turns at the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from lib.core.answer_parser import AnswerParser, Settled
from lib.core.completion import Completion, Timing
from lib.core.request import Request
from lib.core.stream import Delta, End
from lib.core.tokens import NO_TOKENS, TokenKind, Tokens
from lib.engines.local.loading import LoadedModel
from lib.engines.local.model_runner import (
    DecodeStep,
    ModelRunner,
    PositionScores,
    join,
    read,
    rows_of,
    score,
    scored_tokens,
    unscored,
)
from lib.engines.local.prefix_cache import PrefixCache
from lib.engines.local.prompt_lookup import LONGEST, Drafts
from lib.engines.local.prompts import Rendered, prompt_kinds
from lib.engines.local.sampling import choose
from lib.engines.local.small_batch_matmul import reading_a_draft

T = TypeVar("T")


@dataclass(eq=False)
class _Sample:
    """One of the n samples while it is being written."""

    number: int
    reader: AnswerParser
    die: np.random.Generator
    waiting: dict[int, tuple[int, PositionScores]] = field(default_factory=dict)  # arrived, not yet released
    written: list[tuple[int, PositionScores]] = field(default_factory=list)

    def take(self, token: int, scores: PositionScores) -> int:
        """Remember a token and its one row of scores; returns its number."""
        self.waiting[len(self.written)] = (token, scores)
        self.written.append((token, scores))
        return len(self.written) - 1


@dataclass(eq=False)
class _Clock:
    """Times of one request, as `time.monotonic` has them."""

    asked: float
    began: float
    first: float | None = None

    def timing(self) -> Timing:
        """From the moment it was asked until now."""
        first = None if self.first is None else self.first - self.asked
        return Timing(self.began - self.asked, first, time.monotonic() - self.asked)


def generate(
    loaded: LoadedModel, reader: ModelRunner, kept: PrefixCache, request: Request, rendered: Rendered, asked: float
) -> Generator[list[Delta] | DecodeStep, Any, None]:
    """Deltas of all samples, one list per turn. Prompt and answer are scored by the very passes that read them.

    A `DecodeStep` asks whoever runs this to `send` its logits, which may be computed together with those of others.
    asked: `time.monotonic()` when the request was handed in. kept: where an answer that is given its beginning looks
    for what has been read of it before, and where the cache of a single sample goes in the end.
    """
    clock = _Clock(asked, time.monotonic())
    prompt, begun = rendered.ids, list(request.prefix_ids)
    limit, warnings = answer_limit(loaded, request, len(prompt) + len(begun))
    cache, scores, last, before = yield from in_turns(_read(reader, kept, request, prompt, limit))
    asked_for = rows_of(scores, slice(0, len(prompt))) if request.prompt_scores else unscored(len(prompt), request.k)
    start = Completion(
        request=request,
        model=loaded.name,
        prompt=scored_tokens(loaded, prompt, asked_for, prompt_kinds(loaded, prompt)),
        generated=NO_TOKENS,
        text="",
        vocabulary_size=reader.vocabulary_size,
        warnings=(*loaded.warnings, *warnings),
        provenance=loaded.provenance,
    )
    samples = [
        _Sample(number, AnswerParser(request.stop, rendered.text), _die(request.seed, number))
        for number in range(request.n)
    ]
    deltas = [Delta(sample.number, start=start) for sample in samples]
    if begun:
        forced = np.full(len(begun), TokenKind.FORCED, np.uint8)
        tokens = scored_tokens(loaded, begun, rows_of(scores, slice(len(prompt), None)), forced)
        pieces = loaded.vocabulary.pieces
        spelled = [(pieces.bytes_of(token), bool(pieces.special[token])) for token in begun]
        deltas += [Delta(each.number, generated=tokens, text=each.reader.begin(spelled)) for each in samples]
    if limit == 0:
        yield [*deltas, *(Delta(sample.number, end=End("length", clock.timing())) for sample in samples)]
        return
    if request.n > 1:
        reader.select(cache, [0] * request.n)
    try:
        if before and request.n == 1:
            drafts = Drafts(before, [*prompt, *begun])
            yield from _write_drafted(loaded, reader, request, samples[0], cache, last, limit, clock, deltas, drafts)
        else:
            yield from _write(loaded, reader, request, samples, cache, last, limit, clock, deltas)
    finally:
        if request.n == 1:
            written = samples[0].written
            ids = [*prompt, *begun, *(token for token, _ in written)]
            kept.put(ids, join([scores, *(row for _, row in written)]), cache)


def _read(
    reader: ModelRunner, kept: PrefixCache, request: Request, prompt: list[int], limit: int
) -> Generator[None, None, tuple[Any, PositionScores, Any, list[int]]]:
    """Read the prompt and the answer's given beginning.

    Returns the cache, the scores of both, the logits of what follows, and the ids of the answer that this branches
    from with its prompt, where it was kept.
    """
    ids = [*prompt, *request.prefix_ids]
    room = len(ids) + limit
    found = kept.find(ids, request.k, room, scored=request.prompt_scores) if request.prefix_ids else None
    if found is not None:
        # The first of these has its score already.
        rest, last = yield from read(reader, ids[found.read :], found.cache, request.k)
        return found.cache, join([found.scores, rows_of(rest, slice(1, None))]), last, found.ids
    cache = reader.new_cache(room)
    scores, last = yield from read(reader, prompt, cache, request.k, scored=request.prompt_scores)
    if request.prefix_ids:
        more, last = yield from read(reader, request.prefix_ids, cache, request.k, last)
        scores = join([scores, more])
    return cache, scores, last, []


def _write(
    loaded: LoadedModel,
    reader: ModelRunner,
    request: Request,
    samples: list[_Sample],
    cache: Any,
    last: Any,
    limit: int,
    clock: _Clock,
    deltas: list[Delta],
) -> Generator[list[Delta] | DecodeStep, Any, None]:
    """Write until all samples have ended. last: the logits [1, V] to begin with. deltas: what is to be told first."""
    logits = last.expand(request.n, -1)
    active = samples
    for turn in range(limit):
        chosen = choose(logits, request.temperature, request.top_p, [sample.die for sample in active])
        scores = score(logits, chosen, request.k)
        clock.first = clock.first or time.monotonic()
        staying = []
        for row, (sample, token) in enumerate(zip(active, chosen.tolist(), strict=True)):
            own = rows_of(scores, slice(row, row + 1))
            delta = _advance(loaded, sample, token, own, final=turn + 1 == limit, timing=clock.timing)
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
        logits = yield DecodeStep(deltas, chosen, cache)
        deltas = []


def _write_drafted(
    loaded: LoadedModel,
    reader: ModelRunner,
    request: Request,
    sample: _Sample,
    cache: Any,
    last: Any,
    limit: int,
    clock: _Clock,
    deltas: list[Delta],
    drafts: Drafts,
) -> Generator[list[Delta] | DecodeStep, Any, None]:
    """As `_write`, for one sample: where a draft is at hand, its tokens are read along and kept as far as they fit."""
    import torch

    logits, draft = last, list[int]()
    while True:
        tokens: list[int] = []
        for row in range(len(draft) + 1):
            tokens.append(int(choose(logits[row : row + 1], request.temperature, request.top_p, [sample.die])[0]))
            if row == len(draft) or draft[row] != tokens[-1]:
                break
        chosen = logits.new_tensor(tokens, dtype=torch.int64)
        scores = score(logits[: len(tokens)], chosen, request.k, reader.scratch(1, len(tokens)))
        clock.first = clock.first or time.monotonic()
        for row, token in enumerate(tokens):
            own, final = rows_of(scores, slice(row, row + 1)), len(sample.written) + 1 == limit
            delta = _advance(loaded, sample, token, own, final=final, timing=clock.timing)
            drafts.add(token)
            if delta.end is not None or delta.generated is not None:
                deltas.append(delta)
            if delta.end is not None:
                break
        if row < len(draft):
            cache.crop(row - len(draft))  # what was read of the draft beyond the tokens that fit
        if delta.end is not None:
            yield deltas
            return
        draft = drafts.next(min(LONGEST, limit - len(sample.written) - 1))
        if draft:
            yield deltas
            with reading_a_draft():
                logits = next(block for block in reader.blocks([tokens[-1], *draft], cache) if block is not None)
        else:
            logits = yield DecodeStep(deltas, chosen[-1:], cache)
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
    loaded: LoadedModel,
    sample: _Sample,
    token: int,
    scores: PositionScores,
    *,
    final: bool,
    timing: Callable[[], Timing],
) -> Delta:
    """Give a sample its next token; the delta holds what is settled by it, and the end if that was it."""
    number = sample.take(token, scores)
    if token in loaded.eos_ids:
        rest = sample.reader.end()
        released = Settled((*rest.tokens, (number, TokenKind.STOP)), rest.text)
        return Delta(sample.number, None, _tokens(loaded, sample, released), released.text, End("stop", timing()))
    pieces = loaded.vocabulary.pieces
    released = sample.reader.push(pieces.bytes_of(token), bool(pieces.special[token]))
    reason = "stop" if released.stopped else "length" if final else None
    if reason == "length":
        rest = sample.reader.end()
        released = Settled(released.tokens + rest.tokens, released.text + rest.text)
    end = End(reason, timing()) if reason else None
    return Delta(sample.number, None, _tokens(loaded, sample, released), released.text, end)


def _tokens(loaded: LoadedModel, sample: _Sample, released: Settled) -> Tokens | None:
    if not released.tokens:
        return None
    rows = [sample.waiting.pop(number) for number, _ in released.tokens]
    kinds = np.array([kind for _, kind in released.tokens], np.uint8)
    return scored_tokens(loaded, [token for token, _ in rows], join([each for _, each in rows]), kinds)


def _die(seed: int | None, number: int) -> np.random.Generator:
    return np.random.default_rng(None if seed is None else [seed, number])


def answer_limit(loaded: LoadedModel, request: Request, read: int) -> tuple[int, list[str]]:
    """How many tokens the answer may have, and a warning where the context leaves fewer than were asked for."""
    room = request.max_tokens if loaded.context is None else loaded.context - read
    if room >= request.max_tokens:
        return request.max_tokens, []
    left = f"The context of {loaded.name} leaves room for {room:,} tokens of answer after this prompt."
    return room, [f"{left} {loaded.limited}".strip()]
