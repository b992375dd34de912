"""Teacher forcing: how likely the model holds a text that is given to it."""

from __future__ import annotations

import copy
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np

from lib.answer import AnswerReader
from lib.completion import Completion, Timing
from lib.errors import InvalidRequest
from lib.local.generation import in_turns
from lib.local.kept import KeptCaches, common
from lib.local.loading import LoadedModel
from lib.local.prompts import Rendered, boundary, check_context, encode, prompt_kinds
from lib.local.reader import (
    AT_ONCE,
    Reader,
    Scores,
    join,
    read,
    read_tail,
    read_together,
    rows_of,
    score_next,
    scored_tokens,
    unscored,
)
from lib.request import Request, check_text
from lib.tokens import Kind

_FEW = 8  # shared ids that each text may read for itself, which saves a pass
_MOST_KEPT = 8192  # tokens in the caches of texts that are read together


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
    reader: Reader,
    kept: KeptCaches,
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
    start = yield from in_turns(_beginning(reader, kept, texts, shared, request.k))
    rests = [text.ids[start.read :] for text in texts]
    found: dict[int, Completion] = {}
    for group in together([len(rest) for rest in rests], start.read, joined=reader.reads_together):
        own = _own(reader, start.cache, start.read, max(len(rests[number]) for number in group))
        if len(group) > 1:
            scores = read_together(reader, [rests[number] for number in group], own, request.k)
        else:
            only, _ = yield from in_turns(read(reader, rests[group[0]], own, request.k))
            scores = [only]
        timing = Timing(began - asked, None, time.monotonic() - asked)
        for number, rest in zip(group, scores, strict=True):
            whole = join([start.scores, start.next(rests[number][0], request.k), rows_of(rest, slice(1, None))])
            found[number] = _completion(loaded, request, rendered, texts[number], whole, reader.vocabulary_size, timing)
        yield []
    if start.read == shared and shared:
        kept.offer(texts[0].ids[:shared], start.scores, start.cache)
    yield [found[number] for number in range(len(texts))]


@dataclass(frozen=True, eq=False)
class _Beginning:
    """What has been read of the texts before each goes on by itself.

    scores: of the ids that have been read. cache: has read them. logits: [1, V], of what follows; None where they are
    not known, as nothing has been read, or `following` has the scores of the next id, which all texts share.
    """

    read: int
    scores: Scores
    cache: Any
    logits: Any = None
    following: Scores | None = None

    def next(self, token: int, k: int) -> Scores:
        """The scores of the first id that is not read, [1]."""
        if self.following is not None:
            return self.following
        return unscored(1, k) if self.logits is None else score_next(self.logits, token, k)


def _beginning(
    reader: Reader, kept: KeptCaches, texts: Sequence[Forced], shared: int, k: int
) -> Generator[None, None, _Beginning]:
    """What all texts begin with, of which nothing is read that was kept; a text alone is read at once later on."""
    ids = texts[0].ids[:shared]
    found = kept.find(ids, k, shared, scored=True) if shared else None
    if found is not None and shared - found.read > _FEW and len(texts) > 1:
        rest, logits = yield from read(reader, ids[found.read :], found.cache, k)
        return _Beginning(shared, join([found.scores, rows_of(rest, slice(1, None))]), found.cache, logits)
    if found is not None:
        before = rows_of(found.scores, slice(0, found.read))
        after = rows_of(found.scores, slice(found.read, found.read + 1))
        return _Beginning(found.read, before, found.cache, following=after)
    if len(texts) == 1:
        return _Beginning(0, unscored(0, k), reader.new_cache(len(texts[0].ids)))
    cache = reader.new_cache(shared)
    scores, logits = yield from read(reader, ids, cache, k)
    return _Beginning(shared, scores, cache, logits)


def _own(reader: Reader, cache: Any, read: int, more: int) -> Any:
    """A cache to be used up, that has read what another has."""
    if read and reader.can_copy(cache):
        return reader.copied(cache, read, read + more)
    return copy.deepcopy(cache)


def together(lengths: Sequence[int], shared: int, *, joined: bool = True) -> list[list[int]]:
    """The numbers of texts that are read in one pass, each with so many ids after the shared ones: like with like.

    joined: whether several can be.
    """
    groups: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        longest, count = lengths[number], len(groups[-1]) + 1 if groups else 1
        fits = count * longest <= AT_ONCE and count * (shared + longest) <= _MOST_KEPT
        if groups and joined and fits:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def score_under(
    loaded: LoadedModel,
    reader: Reader,
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
        same = min(common(base, np.array(text.ids, np.int32)), len(text.ids) - rows - 1)
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
    shortest = min(len(text.ids) for text in texts)
    columns = zip(*(text.ids[: shortest - 1] for text in texts), strict=True)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def _completion(
    loaded: LoadedModel,
    request: Request,
    rendered: Rendered,
    forced: Forced,
    scores: Scores,
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
        generated=tokens[forced.first :],
        text=forced.text,
        origin="scored",
        overlap=forced.overlap,
        vocabulary_size=vocabulary_size,
        timing=timing,
        warnings=tuple(warnings),
        provenance=loaded.provenance,
    )


def _answer_kinds(loaded: LoadedModel, rendered: Rendered, forced: Forced) -> Any:
    """uint8 kinds of the forced tokens: reasoning is told apart as in an answer of the model's own."""
    follower = AnswerReader((), rendered.text)
    pieces = loaded.vocabulary.pieces
    kinds: dict[int, Kind] = {}
    for token in forced.ids[forced.first :]:
        kinds.update(follower.push(pieces.bytes_of(token), bool(pieces.special[token])).tokens)
    kinds.update(follower.end().tokens)
    return np.array([kinds.get(number, Kind.TEXT) for number in range(len(forced.ids) - forced.first)], np.uint8)
