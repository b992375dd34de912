"""Decode the tokens of an answer: identify them, resolve ids and ranks, classify them, and check them by the text."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lib.core.answer_parser import has_reasoning
from lib.core.pieces import Ints
from lib.core.request import Request
from lib.core.tokens import TokenKind, Tokens, concatenate
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire import chosen_token
from lib.wire import decode_warnings as warn
from lib.wire.decoded_tokens import (
    DecodedTokens,
    WrongTokenizer,
    knows_all,
    requested_k,
    undecided_count,
    unscored_text,
)
from lib.wire.formats import Format
from lib.wire.positions import Positions, to_tokens
from lib.wire.resolve_ids import ranks_of, with_ids
from lib.wire.response import Answer
from lib.wire.spelling_check import Correction, check_spelling
from lib.wire.token_kinds import Fit, Shape, answer_kinds

TRUNCATED = frozenset({"length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length", "max_new_tokens"})
TOOL_CALLS = frozenset({"tool_calls", "function_call", "tool_use"})


@dataclass(frozen=True, eq=False)
class AnswerContext:
    """What is known about an answer besides what the response says in it."""

    wire_format: Format
    request: Request | None  # None if it wasn't saved
    tokenizer: Tokenizer | None  # the model's own; None if not known
    prompt_text: str = ""  # the text the model read; "" if not known
    counted: int | None = None  # the answer's tokens as the service counts them; None if not known
    strict: bool = True  # whether to raise WrongTokenizer
    complete: bool = True  # whether all of the answer has arrived, so that its tokens can be checked by its text
    thinking: str | None = None  # as in `AnswerParser`, for the rest of an answer


@dataclass(frozen=True, eq=False)
class _Reading:
    """An answer on its way through the steps below."""

    answer: Answer
    context: AnswerContext
    shape: Shape
    sent: Positions  # as the response has them
    decided: Positions  # with the chosen entries, and ids and ranks as far as they are known
    ways: tuple[str, ...]
    tokens: Tokens
    checked: bool = False
    fit: Fit = Fit.SPELLS
    garbled: bool = False
    correction: Correction | None = None  # None if the tokens spell the text as sent
    truncated: bool = False  # whether the text continues after the tokens listed


def decode_answer(answer: Answer, context: AnswerContext) -> DecodedTokens:
    """The tokens of an answer, or of the rest of one. Raises WrongTokenizer if `context.strict`.

    The tokenizer is wrong if its vocabulary doesn't spell the text although the strings of the response do, or if the
    response has no strings.
    """
    if answer.generated is None:
        return DecodedTokens(unscored_text(answer.text))
    reading = _read(answer, context, answer.generated)
    reading = _correct_spelling(reading)
    reading = _append_missing_text(reading)
    wrong = _tokenizer_is_wrong(reading)
    if context.strict and wrong:
        raise WrongTokenizer
    return DecodedTokens(
        reading.tokens,
        reading.ways if len(reading.sent) else (),
        _warnings(reading),
        checked=reading.checked,
        wrong=wrong,
        fit=reading.fit,
        garbled=reading.garbled,
    )


def _read(answer: Answer, context: AnswerContext, found: Positions) -> _Reading:
    """Identify the chosen tokens, resolve their ids and ranks, make tokens of them and classify them."""
    shape = _shape_of(answer, context)
    tokenizer = context.tokenizer
    ways: tuple[str, ...] = ("name",)
    if context.wire_format.is_bedrock:
        decided, ways = _identify(found, answer, tokenizer, shape.stopped)
    else:
        decided = _resolve(found, answer, context)
    k, _ = requested_k(context.wire_format, context.request, found)
    vocabulary = None if tokenizer is None else tokenizer.vocabulary
    tokens = to_tokens(decided, np.full(len(found), -1, np.int32), k, vocabulary)
    kinds, fit, garbled = _classify(tokens, shape, context)
    checked = bool(answer.text.strip()) and len(tokens) > 0 and tokenizer is not None
    tokens = _without_unknown_stop(tokens.with_kinds(kinds))
    return _Reading(answer, context, shape, found, decided, ways, tokens, checked, fit, garbled)


def _shape_of(answer: Answer, context: AnswerContext) -> Shape:
    stops = () if answer.stop_reason is None else None if context.request is None else context.request.stop
    return Shape(
        answer.text,
        answer.stop_reason not in TRUNCATED,
        answer.reasoning,
        answer.tools or answer.stop_reason in TOOL_CALLS,
        context.prompt_text,
        context.thinking,
        stops,
    )


def _identify(
    found: Positions, answer: Answer, tokenizer: Tokenizer | None, stopped: bool
) -> tuple[Positions, tuple[str, ...]]:
    """Identify the chosen entries of a BedrockCompletion, which has ids alone; and the ways that did."""
    sure: list[tuple[str, Ints]] = []
    if tokenizer is not None:
        sure.append(("text", chosen_token.by_text(found, answer.text, tokenizer, stopped=stopped)))
    sure.append(("single entry", chosen_token.by_single_entry(found)))
    known, _ = chosen_token.decided(found, sure)
    return chosen_token.decided(found, [*sure, ("order", chosen_token.by_order(found, known.chosen))])


def _resolve(found: Positions, answer: Answer, context: AnswerContext) -> Positions:
    """Resolve ids and ranks from the strings of OpenAI's formats, as far as they show."""
    tokenizer, keyed = context.tokenizer, context.wire_format is Format.OPENAI
    ambiguous: set[bytes] | None = None
    if keyed:  # its lists are keyed by string, so equal strings hide one another
        names = {} if tokenizer is None else tokenizer.names
        texts = found.literals or ()
        ambiguous = {blob for blob in texts if len(names.get(blob.decode("utf-8", "replace"), ())) > 1}
    k, inferred = requested_k(context.wire_format, context.request, found)
    ranked = ranks_of(found, k, ambiguous, roomy=keyed and not inferred)
    if tokenizer is not None:
        text = answer.text if not (answer.reasoning or answer.tools) else ""
        return with_ids(ranked, text, tokenizer, answer.ids)
    if answer.ids is not None and len(answer.ids) == len(ranked) and (ranked.chosen >= 0).all():
        ids = ranked.ids.copy()
        ids[ranked.chosen] = answer.ids
        return replace(ranked, ids=ids)
    return ranked


def _classify(tokens: Tokens, shape: Shape, context: AnswerContext) -> tuple[NDArray[np.uint8], Fit, bool]:
    """(uint8[n] of `TokenKind`, how the tokens fit the text, whether only as the model's decoder writes them)."""
    pieces = [
        (tokens.pieces.bytes_of(ref), bool(tokens.pieces.special[ref])) if ref >= 0 else (b"", False)
        for ref in tokens.refs.tolist()
    ]
    kinds, fit = answer_kinds(pieces, shape)
    garbled = False
    vocabulary = None if context.tokenizer is None else context.tokenizer.vocabulary
    if fit is not Fit.SPELLS and vocabulary is not None and vocabulary.garbled:
        garbled_bytes = dict(vocabulary.garbled)
        as_decoded = [
            (garbled_bytes.get(number, blob), special)
            for number, (blob, special) in zip(tokens.ids.tolist(), pieces, strict=True)
        ]
        other, other_fit = answer_kinds(as_decoded, shape)
        garbled = other_fit is Fit.SPELLS
        kinds, fit = (other, other_fit) if garbled else (kinds, fit)
    if vocabulary is None and context.wire_format.is_bedrock:  # the tokens have no text to compare
        kinds[:] = TokenKind.TEXT
        fit = Fit.DIFFERS
    return kinds, fit, garbled


def _without_unknown_stop(tokens: Tokens) -> Tokens:
    """Remove the score of a stop token without text: the p of 0 sent for it means "not known"."""
    last = len(tokens) - 1
    if last < 0 or tokens.kinds[last] != TokenKind.STOP or tokens.logprobs[last] != -np.inf:
        return tokens
    ref = int(tokens.refs[last])
    if ref >= 0 and tokens.pieces.bytes_of(ref):
        return tokens
    logprobs = tokens.logprobs.copy()
    logprobs[last] = np.nan
    return replace(tokens, logprobs=logprobs)


def _correct_spelling(reading: _Reading) -> _Reading:
    """Correct strings that don't spell the text, as far as the text shows how, and read the answer again."""
    context = reading.context
    if not context.complete or context.wire_format.is_bedrock or reading.fit is Fit.SPELLS:
        return reading
    correction = check_spelling(reading.sent, reading.shape, counted=context.counted)
    if correction.found is not reading.sent:
        again = _read(reading.answer, context, correction.found)
        reading = replace(again, sent=reading.sent)
    return replace(reading, correction=correction)


def _append_missing_text(reading: _Reading) -> _Reading:
    """Append the rest of a text that continues after its tokens, as one unscored piece."""
    context, tokens, text = reading.context, reading.tokens, reading.answer.text
    all_listed = context.counted is not None and context.counted <= len(reading.sent)
    if reading.fit is not Fit.SHORTER or not context.complete or all_listed:
        return reading
    data = b"".join(tokens.pieces.bytes_of(ref) for ref in tokens.refs.tolist() if ref >= 0)
    spelled = data.decode("utf-8", "replace")
    rest = text.removeprefix(spelled) if text.startswith(spelled) else text.removeprefix(spelled.lstrip())
    return replace(reading, tokens=concatenate([tokens, unscored_text(rest)]), fit=Fit.SPELLS, truncated=True)


def _tokenizer_is_wrong(reading: _Reading) -> bool:
    tokenizer, tokens = reading.context.tokenizer, reading.tokens
    if tokenizer is None:
        return False
    strings_spell = reading.correction is None or reading.correction.spells
    misspelled = strings_spell and reading.fit in (Fit.DIFFERS, Fit.SHORTER) and bool((tokens.refs >= 0).all())
    return misspelled or not knows_all(tokenizer, tokens)


def _warnings(reading: _Reading) -> tuple[str, ...]:
    return (*_fit_warnings(reading), *_score_warnings(reading))


def _fit_warnings(reading: _Reading) -> list[str]:
    """The warnings about how the tokens fit the text."""
    context, correction = reading.context, reading.correction
    listed = len(reading.sent)
    warnings = [] if correction is None else _correction_warnings(correction, listed, context.counted)
    if reading.fit is Fit.LONGER and context.complete and (correction is None or not correction.nameless):
        warnings = [warn.LONGER, *(each for each in warnings if each != warn.NOT_SPELLED)]
    only_ids = context.wire_format.is_bedrock and context.tokenizer is None
    uncounted = only_ids and context.counted is not None and context.counted > listed + reading.shape.stopped
    if reading.truncated or uncounted:
        warnings.append(warn.missing_tokens(listed, context.counted))
    return warnings + ([warn.GARBLED] if reading.garbled else [])


def _correction_warnings(correction: Correction, listed: int, counted: int | None) -> list[str]:
    warnings = []
    if correction.nameless:
        warnings.append(warn.NO_NAMES)
    elif not correction.spells:
        warnings.append(warn.NOT_SPELLED)
    if correction.unnamed:
        warnings.append(warn.NO_STRINGS.format(count=correction.unnamed))
    if correction.gaps:
        warnings.append(warn.missing_tokens(listed, counted))
    return warnings


def _score_warnings(reading: _Reading) -> list[str]:
    """The warnings about what the scores rest on."""
    context, decided, sent = reading.context, reading.decided, reading.sent
    warnings = []
    k, inferred = requested_k(context.wire_format, context.request, sent)
    if inferred and k:
        warnings.append(warn.inferred_k(k, "answer"))
    unseparated = context.tokenizer is None and reading.fit is Fit.DIFFERS and has_reasoning(reading.answer.text)
    if unseparated and (context.wire_format.is_bedrock or _has_ids(sent)):
        warnings.append(warn.UNSEPARATED_REASONING)
    known = context.complete and len(sent) > 0 and bool((decided.chosen >= 0).all())
    if known and np.isnan(decided.logprobs[decided.chosen]).all():
        warnings.append(warn.NO_SCORES)
    if reading.correction is None or not reading.correction.nameless:
        warnings += warn.undecided(undecided_count(decided), "answer")
    return warnings


def _has_ids(found: Positions) -> bool:
    """Whether every chosen entry has an id."""
    return bool((found.ids[found.chosen[found.chosen >= 0]] >= 0).all())
