"""One request, from its ids to its last delta, as an iterator of short turns at the model."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from lib.core.answer_parser import AnswerParser, Settled
from lib.core.completion import Completion, StopReason, Timing
from lib.core.request import MAX_SEED, Request
from lib.core.stream import Delta, End
from lib.core.tokens import NO_TOKENS, TokenKind, Tokens
from lib.engines.local.joint_prefill import MOST_TOKENS, PrefillStep
from lib.engines.local.loading import LoadedModel
from lib.engines.local.model_runner import CHUNK, DecodeStep, ModelRunner
from lib.engines.local.position_scores import PositionScores, join, rows_of, score, scored_tokens, unscored
from lib.engines.local.prefill import prefill
from lib.engines.local.prefix_cache import PrefixCache
from lib.engines.local.prompt_lookup import MAX_DRAFT, PromptLookup
from lib.engines.local.prompts import Rendered, prompt_kinds
from lib.engines.local.sampling import choose
from lib.engines.local.turns import in_turns

T = TypeVar("T")
Turns = Generator[list[Delta] | DecodeStep | PrefillStep, Any, None]


@dataclass(eq=False)
class _Sample:
    """One of the n samples while it is being generated."""

    number: int  # 0 to n - 1
    parser: AnswerParser
    rng: np.random.Generator
    pending: dict[int, tuple[int, PositionScores]] = field(default_factory=dict)  # by position; kind not settled yet
    generated: list[tuple[int, PositionScores]] = field(default_factory=list)  # (id, its row of scores)

    def take(self, token: int, scores: PositionScores) -> int:
        """Append a token and its row of scores; returns its position in the answer."""
        position = len(self.generated)
        self.pending[position] = (token, scores)
        self.generated.append((token, scores))
        return position


@dataclass(eq=False)
class _Clock:
    """Times of one request, as from `time.monotonic`."""

    submitted: float
    started: float
    first: float | None = None  # None until the first token

    def timing(self) -> Timing:
        """Seconds from submission until now."""
        first = None if self.first is None else self.first - self.submitted
        return Timing(self.started - self.submitted, first, time.monotonic() - self.submitted)


@dataclass(frozen=True, eq=False)
class _Prefix:
    """What the model has read before it generates: the prompt and the answer's forced beginning."""

    cache: Any
    scores: PositionScores  # of prompt and forced tokens
    logits: Any  # float32 [1, V], of the next token
    branched_from: list[int]  # ids of the cached text that this branches from, with its prompt; empty without one


def generate(
    runner: ModelRunner, prefix_cache: PrefixCache, request: Request, rendered: Rendered, submitted: float
) -> Turns:
    """Yield the deltas of all samples, one list per turn. The passes that read the tokens also score them.

    A turn may also yield a `DecodeStep` or a `PrefillStep`; the caller must `send` what it waits for, which may be
    computed in a joint pass.

    prefix_cache: searched for the forced beginning of an answer, and extended with the cache of a single sample.
    submitted: `time.monotonic()` when the request was submitted.
    """
    generation = _Generation(runner, prefix_cache, request, rendered, _Clock(submitted, time.monotonic()))
    return generation.turns()


class _Generation:
    """One request being answered."""

    def __init__(
        self, runner: ModelRunner, prefix_cache: PrefixCache, request: Request, rendered: Rendered, clock: _Clock
    ) -> None:
        self._runner, self._loaded = runner, runner.loaded
        self._prefix_cache = prefix_cache
        self._request, self._rendered, self._clock = request, rendered, clock
        self._forced = list(request.prefix_ids)
        read = len(rendered.ids) + len(self._forced)
        self._limit, self._warnings = answer_limit(self._loaded, request, read)
        self._samples = [
            _Sample(number, AnswerParser(request.stop, rendered.text), _rng(request.seed, number))
            for number in range(request.n)
        ]

    def turns(self) -> Turns:
        """Read the prompt, then generate."""
        prefix = yield from self._begin()
        deltas = self._opening(prefix.scores)
        if self._limit == 0:
            ends = [Delta(each.number, end=End(StopReason.LENGTH, self._clock.timing())) for each in self._samples]
            yield [*deltas, *ends]
            return
        if self._request.n > 1:
            self._runner.select(prefix.cache, [0] * self._request.n)
        try:
            if prefix.branched_from and self._request.n == 1:
                yield from self._write_from_drafts(prefix, deltas)
            else:
                yield from self._write(prefix, deltas)
        finally:
            self._remember(prefix)

    def _begin(self) -> Generator[list[Delta] | DecodeStep | PrefillStep, Any, _Prefix]:
        """Read the prompt: along with others if it is short and not scored, else in turns of its own."""
        ids, request, runner = self._rendered.ids, self._request, self._runner
        alone = request.prompt_scores or self._forced or not 0 < len(ids) <= MOST_TOKENS
        if alone or not runner.can_pack(CHUNK + MOST_TOKENS):
            return (yield from in_turns(self._read()))
        cache, logits = yield PrefillStep([], list(ids), len(ids) + self._limit)
        return _Prefix(cache, unscored(len(ids), request.k), logits, [])

    def _read(self) -> Generator[None, None, _Prefix]:
        """Read the prompt and the forced tokens, reusing a cached prefix if there is one."""
        runner, request, prompt = self._runner, self._request, self._rendered.ids
        ids = [*prompt, *self._forced]
        room = len(ids) + self._limit
        if self._forced:
            hit = self._prefix_cache.lookup(ids, request.k, room, scored=request.prompt_scores)
            if hit is not None:
                rest, logits = yield from prefill(runner, ids[hit.read :], hit.cache, request.k)
                # The hit already holds the score of the first of these.
                scores = join([hit.scores, rows_of(rest, slice(1, None))])
                return _Prefix(hit.cache, scores, logits, hit.entry_ids)
        cache = runner.new_cache(room)
        scores, logits = yield from prefill(runner, prompt, cache, request.k, first=self._rendered.scores_from)
        if self._forced:
            more, logits = yield from prefill(runner, self._forced, cache, request.k, logits)
            scores = join([scores, more])
        return _Prefix(cache, scores, logits, [])

    def _opening(self, scores: PositionScores) -> list[Delta]:
        """The first deltas of all samples: the scored prompt, and the forced tokens."""
        loaded, request, prompt = self._loaded, self._request, self._rendered.ids
        shown = rows_of(scores, slice(0, len(prompt))) if request.prompt_scores else unscored(len(prompt), request.k)
        start = Completion(
            request=request,
            model=loaded.name,
            prompt=scored_tokens(loaded, prompt, shown, prompt_kinds(loaded, prompt)),
            generated=NO_TOKENS,
            text="",
            vocabulary_size=self._runner.vocabulary_size,
            warnings=(*loaded.warnings, *self._warnings),
            provenance=loaded.provenance,
        )
        deltas = [Delta(sample.number, start=start) for sample in self._samples]
        if self._forced:
            kinds = np.full(len(self._forced), TokenKind.FORCED, np.uint8)
            tokens = scored_tokens(loaded, self._forced, rows_of(scores, slice(len(prompt), None)), kinds)
            pieces = loaded.vocabulary.pieces
            spelled = [(pieces.bytes_of(token), bool(pieces.special[token])) for token in self._forced]
            deltas += [Delta(each.number, generated=tokens, text=each.parser.begin(spelled)) for each in self._samples]
        return deltas

    def _write(self, prefix: _Prefix, deltas: list[Delta]) -> Turns:
        """Generate until every sample has ended. deltas: yielded with the first turn."""
        request, active = self._request, self._samples
        logits = prefix.logits.expand(request.n, -1)
        for turn in range(self._limit):
            chosen = choose(logits, request.temperature, request.top_p, [sample.rng for sample in active])
            scores = score(logits, chosen, request.k)
            self._clock.first = self._clock.first or time.monotonic()
            staying = []
            for row, (sample, token) in enumerate(zip(active, chosen.tolist(), strict=True)):
                delta = self._advance(sample, token, rows_of(scores, slice(row, row + 1)), turn + 1 == self._limit)
                if delta.end is None:
                    staying.append(row)
                if delta.end is not None or delta.generated is not None:
                    deltas.append(delta)
            if staying and len(staying) < len(active):
                self._runner.select(prefix.cache, staying)
                chosen = chosen[staying]
            active = [active[row] for row in staying]
            if not active:
                yield deltas
                return
            logits = yield DecodeStep(deltas, chosen, prefix.cache)
            deltas = []

    def _write_from_drafts(self, prefix: _Prefix, deltas: list[Delta]) -> Turns:
        """As `_write`, for one sample that reads drafts along with its last token and keeps as much as fits."""
        (sample,), cache = self._samples, prefix.cache
        lookup = PromptLookup(prefix.branched_from, [*self._rendered.ids, *self._forced])
        logits, draft = prefix.logits, list[int]()
        while True:
            chosen = self._choose_along(logits, draft, sample)
            scores = score(logits[: len(chosen)], chosen, self._request.k, self._runner.scratch(1, len(chosen)))
            self._clock.first = self._clock.first or time.monotonic()
            tokens = chosen.tolist()
            for row, token in enumerate(tokens):
                at_limit = len(sample.generated) + 1 == self._limit
                delta = self._advance(sample, token, rows_of(scores, slice(row, row + 1)), at_limit)
                lookup.add(token)
                if delta.end is not None or delta.generated is not None:
                    deltas.append(delta)
                if delta.end is not None:
                    yield deltas
                    return
            self._runner.drop_last(cache, len(draft) + 1 - len(tokens))
            draft = lookup.draft(min(MAX_DRAFT, self._limit - len(sample.generated) - 1))
            if draft:
                yield deltas
                logits = self._runner.decode_draft([tokens[-1], *draft], cache)
            else:
                logits = yield DecodeStep(deltas, chosen[-1:], cache)
            deltas = []

    def _choose_along(self, logits: Any, draft: list[int], sample: _Sample) -> Any:
        """The tokens that the model chooses along a draft, up to the first that differs from it: int64 [1..d+1].

        logits: float32 [d + 1, V], after the last token and after each of the d drafted ones.
        """
        import torch

        request, chosen = self._request, []
        for row in range(len(draft) + 1):
            chosen.append(choose(logits[row : row + 1], request.temperature, request.top_p, [sample.rng]))
            if row < len(draft) and int(chosen[-1]) != draft[row]:
                break
        return torch.cat(chosen)

    def _advance(self, sample: _Sample, token: int, scores: PositionScores, at_limit: bool) -> Delta:
        """Append a token to a sample; the delta holds the tokens this settles, and the end if this was the last."""
        position = sample.take(token, scores)
        if token in self._loaded.eos_ids:
            rest = sample.parser.end()
            settled = Settled((*rest.tokens, (position, TokenKind.STOP)), rest.text)
            return self._delta(sample, settled, StopReason.STOP)
        pieces = self._loaded.vocabulary.pieces
        settled = sample.parser.push(pieces.bytes_of(token), bool(pieces.special[token]))
        if settled.stopped:
            return self._delta(sample, settled, StopReason.STOP)
        if not at_limit:
            return self._delta(sample, settled, None)
        rest = sample.parser.end()
        return self._delta(sample, Settled(settled.tokens + rest.tokens, settled.text + rest.text), StopReason.LENGTH)

    def _delta(self, sample: _Sample, settled: Settled, reason: StopReason | None) -> Delta:
        end = None if reason is None else End(reason, self._clock.timing())
        return Delta(sample.number, None, self._tokens(sample, settled), settled.text, end)

    def _tokens(self, sample: _Sample, settled: Settled) -> Tokens | None:
        if not settled.tokens:
            return None
        rows = [sample.pending.pop(position) for position, _ in settled.tokens]
        kinds = np.array([kind for _, kind in settled.tokens], np.uint8)
        return scored_tokens(self._loaded, [token for token, _ in rows], join([each for _, each in rows]), kinds)

    def _remember(self, prefix: _Prefix) -> None:
        """Put the cache of a single sample into the prefix cache."""
        if self._request.n > 1:
            return
        generated = self._samples[0].generated
        ids = [*self._rendered.ids, *self._forced, *(token for token, _ in generated)]
        self._prefix_cache.put(ids, join([prefix.scores, *(row for _, row in generated)]), prefix.cache)


def answer_limit(loaded: LoadedModel, request: Request, read: int) -> tuple[int, list[str]]:
    """Tokens the answer may have, and a warning if the context leaves fewer than requested.

    read: tokens of the prompt and of the answer's forced beginning.
    """
    room = request.max_tokens if loaded.context is None else loaded.context - read
    if room >= request.max_tokens:
        return request.max_tokens, []
    left = f"The context of {loaded.name} leaves room for {room:,} tokens of answer after this prompt."
    return room, [f"{left} {loaded.context_note}".strip()]


def _rng(seed: int | None, number: int) -> np.random.Generator:
    """The generator of a sample: that of the first one of a request whose seed is larger by the sample's number."""
    return np.random.default_rng(None if seed is None else [(seed + number) % MAX_SEED, 0])
