"""Decode the prompt's tokens from a response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lib.core.pieces import Ints
from lib.core.request import Request
from lib.core.tokens import NO_TOKENS, TokenKind, Tokens, make_tokens
from lib.tokenizers.tokenizer import Tokenizer
from lib.tokenizers.vocabulary import Vocabulary
from lib.wire import chosen_token
from lib.wire import decode_warnings as warn
from lib.wire.decoded_tokens import DecodedTokens, WrongTokenizer, knows_all, requested_k, undecided_count
from lib.wire.positions import Positions, table_for, to_tokens
from lib.wire.response import Answer, Response
from lib.wire.spelling_check import in_plain_spelling
from lib.wire.token_kinds import prompt_kinds

_BY_TOKENS = ("tokens",)  # the prompt's ids identify every token


def decode_prompt(
    response: Response, answer: Answer, request: Request | None, tokenizer: Tokenizer | None
) -> DecodedTokens:
    """The prompt's tokens; unscored without prompt logprobs, and none if not even the ids are known."""
    readings = [] if tokenizer is None or request is None else tokenizer.readings(request, response.created)
    candidates = [*([answer.prompt_ids] if answer.prompt_ids is not None else []), *readings]
    warnings = _count_warnings(response.prompt_tokens, readings)
    if answer.prompt is None:
        return _unscored_prompt(candidates, response.prompt_tokens, tokenizer, warnings)
    found = answer.prompt
    k, inferred = requested_k(response.wire_format, request, found)
    warnings += [warn.inferred_k(k, "prompt")] if inferred and k else []
    if tokenizer is None and found.literals is not None and (respell := in_plain_spelling(found.literals)):
        found = replace(found, literals=tuple(map(respell, found.literals)))
    decided, own, ways = _identify(found, candidates, k)
    if ways != _BY_TOKENS:
        warnings += [_other_tokenization(tokenizer)] if readings else []
        warnings += warn.undecided(undecided_count(decided), "prompt")
    tokens = to_tokens(decided, own, k, None if tokenizer is None else tokenizer.vocabulary)
    tokens = tokens.with_kinds(prompt_kinds(tokens.pieces, tokens.refs, by_looks=tokenizer is None))
    if tokenizer is not None and not knows_all(tokenizer, tokens):
        raise WrongTokenizer
    prompt = None if request is None else request.prompt
    wrong = bool(readings) and ways != _BY_TOKENS and prompt is not None and not _occur_in(prompt, tokens)
    return DecodedTokens(tokens, ways, tuple(warnings), wrong=wrong)


def _count_warnings(count: int | None, readings: list[list[int]]) -> list[str]:
    """The warning about a number of tokens that none of the tokenizer's readings has."""
    if not readings or count is None or count in map(len, readings):
        return []
    return [warn.PROMPT_COUNT_DIFFERS.format(model=count, tokenizer=len(readings[0]))]


def _other_tokenization(tokenizer: Tokenizer | None) -> str:
    dated = tokenizer is not None and tokenizer.render_on
    return warn.OTHER_TOKENIZATION + (warn.DATED_TEMPLATE if dated else "")


def _unscored_prompt(
    candidates: Sequence[Sequence[int]], count: int | None, tokenizer: Tokenizer | None, warnings: list[str]
) -> DecodedTokens:
    """The first candidate with the right number of tokens, unscored."""
    fitting = [ids for ids in candidates if len(ids) == (count or len(ids))]
    if not fitting:
        return DecodedTokens(NO_TOKENS, (), tuple(warnings))
    tokens = _unscored(fitting[0], None if tokenizer is None else tokenizer.vocabulary)
    return DecodedTokens(tokens, _BY_TOKENS, tuple(warnings))


def _unscored(ids: Sequence[int], vocabulary: Vocabulary | None) -> Tokens:
    pieces, refs = table_for(np.array(ids, np.int32), None, vocabulary)
    return make_tokens(pieces, refs, kinds=prompt_kinds(pieces, refs))


def _identify(found: Positions, candidates: Sequence[Sequence[int]], k: int) -> tuple[Positions, Ints, tuple[str, ...]]:
    """(positions with their chosen entries, int32[n] ids with -1 for unknown, the ways that decided)."""
    for ids in candidates:
        if (matched := chosen_token.by_ids(found, ids)) is not None:
            return replace(found, chosen=matched), np.array(ids, np.int32), _BY_TOKENS
    sure = [("rank", chosen_token.by_rank(found, k)), ("single entry", chosen_token.by_single_entry(found))]
    known, _ = chosen_token.decided(found, sure)
    decided, ways = chosen_token.decided(found, [*sure, ("order", chosen_token.by_order(found, known.chosen))])
    return decided, np.full(len(found), -1, np.int32), ways


def _occur_in(prompt: str, tokens: Tokens) -> bool:
    """Whether the text tokens that are known occur in the prompt in their order."""
    text, place = prompt.encode("utf-8", "surrogatepass"), 0
    for ref in tokens.refs[tokens.kinds == TokenKind.TEXT].tolist():
        blob = tokens.pieces.bytes_of(ref).strip()
        place = text.find(blob, place)
        if place < 0:
            return False
    return True
