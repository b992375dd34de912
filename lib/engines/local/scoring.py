"""Teacher forcing: score candidate texts as if the model had generated them."""

from __future__ import annotations

import copy
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.answer_parser import AnswerParser, without_opening
from lib.core.arrays import common_prefix_length
from lib.core.completion import Completion, Origin, Timing
from lib.core.request import Request, check_text
from lib.core.tokens import TokenKind
from lib.engines.local.loading import LoadedModel
from lib.engines.local.model_runner import AT_ONCE, ModelRunner
from lib.engines.local.position_scores import PositionScores, join, rows_of, scored_tokens, unscored
from lib.engines.local.prefill import prefill, prefill_packed, prefill_tail
from lib.engines.local.prefix_cache import PrefixCache
from lib.engines.local.prompts import Rendered, boundary, check_context, encode, prompt_kinds
from lib.engines.local.turns import in_turns
from lib.errors import InvalidRequest

_MAX_MASK = 8_000_000  # entries of the attention mask of packed texts, four bytes each


@dataclass(frozen=True, eq=False)
class ForcedText:
    """A prompt and the text to score after it, tokenized as one."""

    request: Request
    rendered: Rendered  # the prompt
    text: str
    ids: list[int]  # of prompt and text
    first: int  # number of ids that belong to the prompt
    overlap: int  # bytes of ids[first] that belong to the prompt; 0 unless the token straddles the boundary


def tokenize(loaded: LoadedModel, request: Request, rendered: Rendered, continuation: str) -> ForcedText:
    """Encode prompt and continuation together. Raises InvalidRequest if the continuation is empty."""
    check_text(continuation)
    if not continuation:
        raise InvalidRequest("One of the texts to score is empty.", "Enter the text to score.")
    whole = rendered.text + continuation
    ids = encode(loaded, whole, templated=rendered.templated)
    check_context(loaded, len(ids))
    first, overlap = boundary(loaded, ids, whole, rendered.text)
    return ForcedText(request, rendered, continuation, ids, first, overlap)


def score_texts(
    runner: ModelRunner, prefix_cache: PrefixCache, texts: Sequence[ForcedText], submitted: float
) -> Generator[list[Completion], None, None]:
    """One completion per text, all after the same prompt.

    Reads the common beginning of the texts once, or takes it from the prefix cache; packs what follows.

    submitted: `time.monotonic()` when the request was submitted.
    """
    started = time.monotonic()
    shared, k = _shared_length(texts), texts[0].request.k
    start = _beginning(runner, prefix_cache, texts, shared)
    lengths = [len(text.ids) - shared for text in texts]
    if len(texts) > 1 and not _fits(runner, shared, shared - start.read + sum(lengths)):
        start = yield from in_turns(_read_on(runner, start, texts[0].ids[start.read : shared], k))
    completions: dict[int, Completion] = {}
    for group in _groups(runner, lengths, shared):
        members = [texts[number] for number in group]
        if len(group) > 1:
            start, scores = _score_packed(runner, start, members, shared)
        else:
            scores = yield from in_turns(_score_alone(runner, start, members[0]))
        timing = Timing(started - submitted, None, time.monotonic() - submitted)
        for number, own in zip(group, scores, strict=True):
            completions[number] = _completion(runner, texts[number], own, timing)
        yield []
    if start.read == shared > 0 and runner.can_copy(start.cache):
        # A copy, as this cache has room for the texts too.
        prefix_cache.put(texts[0].ids[:shared], start.scores, runner.copy_prefix(start.cache, shared, shared))
    yield [completions[number] for number in range(len(texts))]


@dataclass(frozen=True, eq=False)
class _Beginning:
    """What has been read of the texts' common beginning."""

    read: int  # number of ids that the cache holds
    scores: PositionScores  # [read]; [read + 1], with the next token, right after a hit in the prefix cache
    cache: Any  # KV cache of one sample
    logits: Any = None  # float32 [1, V], of the next token; None if unknown

    def after(self, scores: PositionScores, cache: Any, logits: Any) -> _Beginning:
        """The same with more tokens read; scores: of these."""
        known = len(self.scores.logprobs) - self.read
        joined = join([self.scores, rows_of(scores, slice(known, None))])
        return _Beginning(self.read + len(scores.logprobs), joined, cache, logits)


def _beginning(runner: ModelRunner, prefix_cache: PrefixCache, texts: Sequence[ForcedText], shared: int) -> _Beginning:
    """The texts' common beginning as far as it is cached, leaving at least its last id to read."""
    k = texts[0].request.k
    room = min(shared + sum(len(text.ids) - shared for text in texts), shared + AT_ONCE)
    hit = prefix_cache.lookup(texts[0].ids[:shared], k, room, scored=True) if shared else None
    if hit is not None:
        return _Beginning(hit.read, hit.scores, hit.cache)
    return _Beginning(0, unscored(0, k), runner.new_cache(room))


def _read_on(runner: ModelRunner, start: _Beginning, ids: Sequence[int], k: int) -> Generator[None, None, _Beginning]:
    """Read more of the common beginning."""
    scores, logits = yield from prefill(runner, ids, start.cache, k, start.logits)
    return start.after(scores, start.cache, logits)


def _score_packed(
    runner: ModelRunner, start: _Beginning, texts: Sequence[ForcedText], shared: int
) -> tuple[_Beginning, list[PositionScores]]:
    """Score several texts in one pass, which also reads the rest of their common beginning."""
    rest, k = texts[0].ids[start.read : shared], texts[0].request.k
    tails = [text.ids[shared:] for text in texts]
    scores, parts, logits = prefill_packed(runner, rest, tails, start.cache, k, start.logits)
    start = start.after(scores, start.cache, logits)
    return start, [join([start.scores, part]) for part in parts]


def _score_alone(
    runner: ModelRunner, start: _Beginning, text: ForcedText
) -> Generator[None, None, list[PositionScores]]:
    """Score one text in passes of its own."""
    rest = text.ids[start.read :]
    cache = _fork(runner, start.cache, start.read, len(rest))
    scores, _ = yield from prefill(runner, rest, cache, text.request.k, start.logits)
    return [start.after(scores, cache, None).scores]


def _fork(runner: ModelRunner, cache: Any, read: int, more: int) -> Any:
    """A separate cache that holds the same `read` tokens and has room for `more`."""
    if runner.can_copy(cache):
        return runner.copy_prefix(cache, read, read + more) if read else runner.new_cache(more)
    return copy.deepcopy(cache)


def _groups(runner: ModelRunner, lengths: Sequence[int], shared: int) -> list[list[int]]:
    """Indices of the texts to read in one pass. lengths: ids of each text after the shared ones."""
    groups: list[list[int]] = []
    filled = 0
    for number, length in enumerate(lengths):
        if groups and _fits(runner, shared, filled + length):
            groups[-1].append(number)
            filled += length
        else:
            groups.append([number])
            filled = length
    return groups


def _fits(runner: ModelRunner, before: int, tokens: int) -> bool:
    """Whether texts with `tokens` ids in total fit into one packed pass after `before` shared ids."""
    seen = before + tokens
    return tokens <= AT_ONCE and tokens * seen <= _MAX_MASK and runner.can_pack(seen)


def score_under(
    runner: ModelRunner, texts: Sequence[ForcedText], submitted: float
) -> Generator[list[Completion], None, None]:
    """One completion per text, each after a prompt of its own; only the answers are scored.

    Reads of every prompt only what follows its common prefix with the first one.

    submitted: `time.monotonic()` when the request was submitted.
    """
    started = time.monotonic()
    base = np.array(texts[0].ids, np.int32)
    cache = None
    for text in texts:
        k, rows = text.request.k, len(text.ids) - max(text.first, 1)
        # The last id before the answer must be read again: its logits score the answer's first token.
        same = min(common_prefix_length(base, np.array(text.ids, np.int32)), len(text.ids) - rows - 1)
        if cache is None or not runner.can_copy(cache) or not same:
            own, same = runner.new_cache(len(text.ids)), 0
        else:
            own = runner.copy_prefix(cache, same, len(text.ids))
        tail = yield from in_turns(prefill_tail(runner, text.ids[same:], own, k, rows))
        cache = own if cache is None else cache
        scores = join([unscored(len(text.ids) - rows, k), tail])
        yield [_completion(runner, text, scores, Timing(started - submitted, None, time.monotonic() - submitted))]


def _shared_length(texts: Sequence[ForcedText]) -> int:
    """Number of ids that all texts begin with, leaving each at least one."""
    shortest = min(len(text.ids) for text in texts)
    first, *others = (np.array(text.ids, np.int32) for text in texts)
    return min(shortest - 1, *(common_prefix_length(first, each) for each in others), len(first))


def _completion(runner: ModelRunner, forced: ForcedText, scores: PositionScores, timing: Timing) -> Completion:
    loaded = runner.loaded
    kinds = prompt_kinds(loaded, forced.ids)
    kinds[forced.first :] = _answer_kinds(loaded, forced)
    tokens = scored_tokens(loaded, forced.ids, scores, kinds)
    warnings = list(loaded.warnings)
    if forced.overlap:
        straddling = loaded.vocabulary.pieces.text_of(forced.ids[forced.first])
        warnings.append(
            f"The token {straddling!r} spans the end of the prompt and the start of the text; it counts as text."
        )
    return Completion(
        request=replace(forced.request, max_tokens=0),
        model=loaded.name,
        prompt=tokens[: forced.first],
        generated=without_opening(tokens[forced.first :]),
        text=forced.text,
        origin=Origin.SCORED,
        overlap=forced.overlap,
        vocabulary_size=runner.vocabulary_size,
        timing=timing,
        warnings=tuple(warnings),
        provenance=loaded.provenance,
    )


def _answer_kinds(loaded: LoadedModel, forced: ForcedText) -> NDArray[np.uint8]:
    """Kinds of the text's tokens, with reasoning marked as in a generated answer."""
    parser = AnswerParser((), forced.rendered.text)
    pieces = loaded.vocabulary.pieces
    kinds: dict[int, TokenKind] = {}
    for token in forced.ids[forced.first :]:
        kinds.update(parser.push(pieces.bytes_of(token), bool(pieces.special[token])).tokens)
    kinds.update(parser.end().tokens)
    return np.array([kinds.get(number, TokenKind.TEXT) for number in range(len(forced.ids) - forced.first)], np.uint8)
