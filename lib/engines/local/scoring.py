"""Teacher forcing: how likely the model holds a text that is given to it."""

from __future__ import annotations

import copy
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lib.core.answer_parser import AnswerParser, without_opening
from lib.core.arrays import common_prefix_length
from lib.core.completion import Completion, Origin, Timing
from lib.core.request import Request, check_text
from lib.core.tokens import TokenKind
from lib.engines.local.generation import in_turns
from lib.engines.local.loading import LoadedModel
from lib.engines.local.model_runner import (
    AT_ONCE,
    ModelRunner,
    PositionScores,
    join,
    read,
    read_tail,
    read_together,
    rows_of,
    scored_tokens,
    unscored,
)
from lib.engines.local.prefix_cache import PrefixCache
from lib.engines.local.prompts import Rendered, boundary, check_context, encode, prompt_kinds
from lib.errors import InvalidRequest

_MASK = 8_000_000  # entries of the mask of texts that are read together, four bytes each


@dataclass(frozen=True, eq=False)
class Forced:
    """A prompt and its given continuation, tokenised as one text.

    first: the number of ids that belong to the prompt. overlap: bytes of ids[first] that do so too.
    """

    text: str
    ids: list[int]
    first: int
    overlap: int


def tokenise(loaded: LoadedModel, rendered: Rendered, continuation: str) -> Forced:
    """Prompt and continuation as the model would read them together. Raises InvalidRequest for an empty one."""
    check_text(continuation)
    if not continuation:
        raise InvalidRequest("A text to score is empty.", "Give the text whose likelihood you want to know.")
    whole = rendered.text + continuation
    ids = encode(loaded, whole, templated=rendered.templated)
    check_context(loaded, len(ids))
    return Forced(continuation, ids, *boundary(loaded, ids, whole, rendered.text))


def score_texts(
    loaded: LoadedModel,
    reader: ModelRunner,
    kept: PrefixCache,
    request: Request,
    rendered: Rendered,
    texts: Sequence[Forced],
    asked: float,
) -> Generator[list[Completion], None, None]:
    """One completion per text, origin "scored".

    What all of them begin with is read once, or not at all where it was kept; what they go on with is read together.
    """
    began = time.monotonic()
    shared = _common(texts)
    start = _beginning(reader, kept, texts, shared, request.k)
    lengths = [len(text.ids) - shared for text in texts]
    if len(texts) > 1 and not _fits(reader, shared, shared - start.read + sum(lengths)):
        start = yield from in_turns(_read_on(reader, start, texts[0].ids[start.read : shared], request.k))
    found: dict[int, Completion] = {}
    for group in _groups(reader, lengths, shared):
        if len(group) > 1:
            begun = texts[0].ids[start.read : shared]
            rests = [texts[number].ids[shared:] for number in group]
            scores, parts, last = read_together(reader, begun, rests, start.cache, request.k, start.logits)
            start = start.after(scores, start.cache, last)
            wholes = [join([start.scores, part]) for part in parts]
        else:
            rest = texts[group[0]].ids[start.read :]
            own = _own(reader, start.cache, start.read, len(rest))
            only, _ = yield from in_turns(read(reader, rest, own, request.k, start.logits))
            wholes = [start.after(only, own, None).scores]
        timing = Timing(began - asked, None, time.monotonic() - asked)
        for number, whole in zip(group, wholes, strict=True):
            found[number] = _completion(loaded, request, rendered, texts[number], whole, reader.vocabulary_size, timing)
        yield []
    if start.read == shared > 0 and reader.can_copy(start.cache):
        # A copy, as the cache has room for the texts as well.
        kept.put(texts[0].ids[:shared], start.scores, reader.copied(start.cache, shared, shared))
    yield [found[number] for number in range(len(texts))]


@dataclass(frozen=True, eq=False)
class _Beginning:
    """What has been read of the texts before each goes on by itself.

    cache: has read the first `read` ids. scores: of these; and of the next one too, where it comes from a kept cache.
    logits: [1, V], of what follows; None where they are not known.
    """

    read: int
    scores: PositionScores
    cache: Any
    logits: Any = None

    def after(self, scores: PositionScores, cache: Any, logits: Any) -> _Beginning:
        """What there is when more has been read, with the scores of that."""
        known = len(self.scores.logprobs) - self.read
        joined = join([self.scores, rows_of(scores, slice(known, None))])
        return _Beginning(self.read + len(scores.logprobs), joined, cache, logits)


def _beginning(reader: ModelRunner, kept: PrefixCache, texts: Sequence[Forced], shared: int, k: int) -> _Beginning:
    """What was kept of what all texts begin with, of which at least the last id is left to be read."""
    room = shared + sum(len(text.ids) - shared for text in texts)
    found = kept.find(texts[0].ids[:shared], k, min(room, shared + AT_ONCE), scored=True) if shared else None
    if found is not None:
        return _Beginning(found.read, found.scores, found.cache)
    return _Beginning(0, unscored(0, k), reader.new_cache(min(room, shared + AT_ONCE)))


def _read_on(reader: ModelRunner, start: _Beginning, ids: Sequence[int], k: int) -> Generator[None, None, _Beginning]:
    scores, logits = yield from read(reader, ids, start.cache, k, start.logits)
    return start.after(scores, start.cache, logits)


def _own(reader: ModelRunner, cache: Any, read: int, more: int) -> Any:
    """A cache to be used up, that has read what another has."""
    if reader.can_copy(cache):
        return reader.copied(cache, read, read + more) if read else reader.new_cache(more)
    return copy.deepcopy(cache)


def _groups(reader: ModelRunner, lengths: Sequence[int], shared: int) -> list[list[int]]:
    """The numbers of texts that are read in one pass, each with so many ids after the shared ones."""
    groups: list[list[int]] = []
    filled = 0
    for number, length in enumerate(lengths):
        if groups and _fits(reader, shared, filled + length):
            groups[-1].append(number)
            filled += length
        else:
            groups.append([number])
            filled = length
    return groups


def _fits(reader: ModelRunner, before: int, tokens: int) -> bool:
    """Whether one pass may read that many tokens, of several texts, of which each sees so many before its own."""
    seen = before + tokens
    return tokens <= AT_ONCE and tokens * seen <= _MASK and reader.reads_together(seen)


def score_under(
    loaded: LoadedModel,
    reader: ModelRunner,
    requests: Sequence[Request],
    rendered: Sequence[Rendered],
    texts: Sequence[Forced],
    asked: float,
) -> Generator[list[Completion], None, None]:
    """One completion per request and its text, of which the answer alone is scored.

    Of every prompt only what comes after its common beginning with the first one is read.
    """
    began = time.monotonic()
    base = np.array(texts[0].ids, np.int32)
    cache = None
    for request, around, text in zip(requests, rendered, texts, strict=True):
        rows = len(text.ids) - max(text.first, 1)
        # One id before the answer's is left to be read, as the logits after it are needed.
        same = min(common_prefix_length(base, np.array(text.ids, np.int32)), len(text.ids) - rows - 1)
        if cache is None or not reader.can_copy(cache) or not same:
            own, same = reader.new_cache(len(text.ids)), 0
        else:
            own = reader.copied(cache, same, len(text.ids))
        tail = yield from in_turns(read_tail(reader, text.ids[same:], own, request.k, rows))
        cache = own if cache is None else cache
        scores = join([unscored(len(text.ids) - rows, request.k), tail])
        timing = Timing(began - asked, None, time.monotonic() - asked)
        yield [_completion(loaded, request, around, text, scores, reader.vocabulary_size, timing)]


def _common(texts: Sequence[Forced]) -> int:
    """How many ids all texts begin with, leaving each at least one to read for itself."""
    first, *others = (np.array(text.ids, np.int32) for text in texts)
    shortest = min(len(text.ids) for text in texts)
    return min(shortest - 1, *(common_prefix_length(first, each) for each in others), len(first))


def _completion(
    loaded: LoadedModel,
    request: Request,
    rendered: Rendered,
    forced: Forced,
    scores: PositionScores,
    vocabulary_size: int,
    timing: Timing,
) -> Completion:
    kinds = prompt_kinds(loaded, forced.ids)
    kinds[forced.first :] = _answer_kinds(loaded, rendered, forced)
    tokens = scored_tokens(loaded, forced.ids, scores, kinds)
    warnings = list(loaded.warnings)
    if forced.overlap:
        straddling = loaded.vocabulary.pieces.text_of(forced.ids[forced.first])
        warnings.append(
            f"The token {straddling!r} spans the end of the prompt and the start of the text; it counts as text."
        )
    return Completion(
        request=replace(request, max_tokens=0),
        model=loaded.name,
        prompt=tokens[: forced.first],
        generated=without_opening(tokens[forced.first :]),
        text=forced.text,
        origin=Origin.SCORED,
        overlap=forced.overlap,
        vocabulary_size=vocabulary_size,
        timing=timing,
        warnings=tuple(warnings),
        provenance=loaded.provenance,
    )


def _answer_kinds(loaded: LoadedModel, rendered: Rendered, forced: Forced) -> Any:
    """uint8 kinds of the forced tokens: reasoning is told apart as in an answer of the model's own."""
    follower = AnswerParser((), rendered.text)
    pieces = loaded.vocabulary.pieces
    kinds: dict[int, TokenKind] = {}
    for token in forced.ids[forced.first :]:
        kinds.update(follower.push(pieces.bytes_of(token), bool(pieces.special[token])).tokens)
    kinds.update(follower.end().tokens)
    return np.array([kinds.get(number, TokenKind.TEXT) for number in range(len(forced.ids) - forced.first)], np.uint8)
