"""Teacher forcing: how likely the model holds a text that is given to it."""

from __future__ import annotations

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
from lib.local.loading import LoadedModel
from lib.local.prompts import Rendered, boundary, check_context, encode, prompt_kinds
from lib.local.reader import Reader, Scores, join, read, scored_tokens
from lib.request import Request, check_text
from lib.tokens import Kind


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
    loaded: LoadedModel, reader: Reader, request: Request, rendered: Rendered, texts: Sequence[Forced], asked: float
) -> Generator[list[Completion], None, None]:
    """One completion per text, origin "scored". What all of them begin with is read once."""
    began = time.monotonic()
    shared = _common(texts)
    cache = reader.new_cache(max(len(text.ids) for text in texts))
    first, last = yield from in_turns(read(reader, texts[0].ids[:shared], cache, request.k))
    for number, text in enumerate(texts, start=1):
        more = number < len(texts)
        own = reader.branch(cache) if more else cache
        rest, _ = yield from in_turns(read(reader, text.ids[shared:], own, request.k, last))
        if more and own is cache:
            cache.crop(shared - len(text.ids))
        timing = Timing(began - asked, None, time.monotonic() - asked)
        yield [_completion(loaded, request, rendered, text, join([first, rest]), reader.vocabulary_size, timing)]


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
