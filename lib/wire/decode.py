"""A response as completions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.core.answer_parser import has_reasoning, without_opening
from lib.core.completion import Completion
from lib.core.pieces import Ints, make_pieces
from lib.core.request import MAX_K, Request
from lib.core.tokens import MOST_CELLS, NO_TOKENS, TokenKind, Tokens, cells_of, concatenate, make_tokens
from lib.errors import BadResponse
from lib.tokenizers.tokenizer import Tokenizer
from lib.tokenizers.vocabulary import Vocabulary
from lib.wire import chosen_token as ways
from lib.wire.formats import Format, carried_k
from lib.wire.parse import Answer, Response, parse
from lib.wire.positions import Positions, inferred_k, table_for, to_tokens, too_many
from lib.wire.resolve_ids import ranks_of, with_ids
from lib.wire.spelling_check import Told, hold, in_plain_spelling, spelled_length
from lib.wire.token_kinds import Fit, Shape, answer_kinds, prompt_kinds

CUT_SHORT = frozenset({"length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length", "max_new_tokens"})
_CALLS = frozenset({"tool_calls", "function_call", "tool_use"})
STOPS = dict.fromkeys(("stop", "eos_token", "end_turn", "STOP", *_CALLS), "stop") | dict.fromkeys(CUT_SHORT, "length")
NO_LOGPROBS = (
    "The response has no logprobs. Either they were not asked for (return_logprobs for BedrockCompletion, logprobs for "
    "the other formats), or the model was imported before 2025-07-31 and has none: import it again."
)
_NO_ANSWER_LOGPROBS = (
    "The response holds logprobs of the prompt and none of the answer. They have to be asked for, too: logprobs in "
    "OpenAI's formats."
)
_NO_PROMPT_LOGPROBS = "Scores of the prompt were asked for, and the response holds none."
_OTHER_READING = "The tokenizer does not read the prompt the way the model did."
_DATED = " Its chat template writes the date; the day the response was created and today were tried."
_UNDECIDED = (
    "At {places} of the {part} it lists several tokens and nothing tells which one was chosen; the order of "
    "its keys may have been changed. They are left unscored. With the request and the model's tokenizer they can "
    "usually be told."
)
GUARDED = "A guardrail changed the text. The tokens and their logprobs are the model's own, from before the guardrail."
NOT_SPELLED = (
    "The tokens in the response don't spell its text. They are shown as the service listed them, so a score may belong "
    "to another token. Read the text itself below the map."
)
_GARBLED = (
    "The service writes some of the vocabulary's added tokens in other letters, as its decoder takes theirs for bytes. "
    "The map shows the vocabulary's own spelling."
)
LONGER = (
    "The response lists more tokens than its text has. Those after the text count as the answer. Read the text itself "
    "below the map."
)
_TOO_FEW = "The response lists {listed:,} of the answer's {count:,} tokens. The rest of its text has no logprobs."
_GAPS = "The response lists only some of the answer's tokens. The rest of its text has no logprobs."
_NO_STRINGS = (
    "The response lists {count:,} tokens without their text, which are parts of characters. The answer's text shows "
    "what they spell together."
)
_INFERRED = "How many alternatives were asked for in the {part} is not known; {k} {are} inferred."
_NO_SCORES = "The response lists the answer's tokens without logprobs."
_NO_NAMES = "The response lists alternatives but not the answer's own tokens, so the answer has no scores."
_ECHO = (
    "The first token has no logprob, as where a response repeats its prompt (echo). The prompt may be part of this "
    "answer. Open the response with its request to tell them apart."
)
_UNOPENED = "Everything up to the marker that closes reasoning is taken for reasoning, though no marker opens it."
_UNTOLD = (
    "The answer contains reasoning, which can't be told apart without the model's tokenizer: every score counts it. "
    "Choose the tokenizer that was imported with the model."
)
WRONG_TOKENIZER = (
    "This is not the model's tokenizer: the tokens do not spell the text that came with them. They are shown as the "
    "service names them. Choose the tokenizer that was imported with the model."
)

MISMATCH = (
    "This is not the model's tokenizer: the tokens do not spell the text that came with them. Trust the scores, not "
    "the texts of the tokens; choose the tokenizer that was imported with the model."
)


def text_differs(done: Completion) -> bool:
    """Whether an answer's tokens do not spell its text, as its warnings say."""
    return not {GUARDED, LONGER, MISMATCH, NOT_SPELLED, WRONG_TOKENIZER}.isdisjoint(done.warnings)


def decode(
    data: bytes, request: Request | None = None, tokenizer: Tokenizer | None = None, *, model: str = ""
) -> tuple[Completion, ...]:
    """The completions in a response of any format, one per answer.

    request: what was asked, if known: the prompt's tokens and the number of alternatives follow from it. tokenizer:
    the model's own; without one, or where it turns out to be another model's, tokens are named as the response names
    them, else by their ids. model: its name, by default as the response says.

    Raises BadResponse.
    """
    response = parse(data, names=tokenizer is None)
    if not response.answers:
        raise BadResponse("The response holds no answer.", "Open the whole response.")
    try:
        return _completions(response, request, tokenizer, model)
    except WrongTokenizer:
        if response.guarded:
            return _completions(response, request, tokenizer, model, strict=False)
        response = parse(data)
        found = _completions(response, request, None, model)
        return tuple(replace(each, warnings=(WRONG_TOKENIZER, *each.warnings)) for each in found)


class WrongTokenizer(Exception):
    """The tokenizer does not reproduce what the model wrote."""


def _completions(
    response: Response, request: Request | None, tokenizer: Tokenizer | None, model: str, *, strict: bool = True
) -> tuple[Completion, ...]:
    """The completions of a response. The prompt that its answers share is read once."""
    prompts: dict[object, Read] = {}

    def prompt_of(answer: Answer) -> Read:
        key = id(answer.prompt), answer.prompt_ids
        if key not in prompts:
            prompts[key] = read_prompt(response, answer, request, tokenizer)
        return prompts[key]

    found: list[Completion] = []
    cells = 0
    for answer in response.answers:
        done = _completion(response, answer, request, tokenizer, model, prompt_of, strict)
        found.append(done)
        cells += cells_of((done.prompt, done.generated))
        if cells > MOST_CELLS:
            raise too_many()
    return tuple(found)


def _completion(
    response: Response,
    answer: Answer,
    request: Request | None,
    tokenizer: Tokenizer | None,
    model: str,
    prompt_of: Callable[[Answer], Read],
    strict: bool,
) -> Completion:
    answer, prompt_text = _without_echo(response, answer, request, tokenizer)
    if answer.generated is not None and not len(answer.generated) and (answer.text or answer.reasoning):
        answer = replace(answer, generated=None)  # an empty list, which some servers send instead of none
    prompt = prompt_of(answer)
    generated = read_answer(
        response.wire_format, answer, request, tokenizer, prompt_text, strict=strict, counted=response.generated_tokens
    )
    if request is not None and request.max_tokens == 0 and len(generated.tokens) <= 1:
        generated = replace(generated, tokens=generated.tokens[:0])
        answer = replace(answer, text="", stop_reason="length")
    if strict and not generated.checked and prompt.wrong:
        raise WrongTokenizer
    tokens = without_opening(generated.tokens)
    unopened = tokens is not generated.tokens
    tokens = tokens if tokenizer is not None else named_alike(prompt.tokens, tokens)
    warnings = [GUARDED] if response.guarded else []
    said = (*prompt.warnings, *generated.warnings)
    warnings += [each for each in said if not (response.guarded and each in (NOT_SPELLED, LONGER))]
    warnings += [_UNOPENED] if unopened and not answer.reasoning else []
    warnings += (
        [_ECHO] if response.wire_format is Format.OPENAI and answer.prompt is None and _lacks_first(tokens) else []
    )
    if answer.generated is None and answer.prompt is None:
        warnings.append(NO_LOGPROBS)
    elif answer.generated is None and answer.text:
        warnings.append(_NO_ANSWER_LOGPROBS)
    elif (
        answer.prompt is None and request is not None and request.prompt_scores and response.wire_format.scores_prompts
    ):
        warnings.append(_NO_PROMPT_LOGPROBS)
    return Completion(
        request=request,
        model=model or response.model,
        prompt=prompt.tokens,
        generated=tokens,
        text=answer.text,
        stop_reason=STOPS.get(answer.stop_reason or "", answer.stop_reason),
        chosen_by="; ".join(
            f"{part}: {', '.join(read.ways)}" for part, read in (("prompt", prompt), ("answer", generated)) if read.ways
        ),
        vocabulary_size=None if tokenizer is None else len(tokenizer.vocabulary),
        warnings=tuple(dict.fromkeys(warnings)),
        provenance=provenance(response.wire_format, tokenizer),
    )


def _lacks_first(tokens: Tokens) -> bool:
    """Whether the first token alone is unscored."""
    known = ~np.isnan(tokens.logprobs)
    return len(tokens) > 1 and not known[0] and bool(known[1:].all())


def named_alike(prompt: Tokens, generated: Tokens) -> Tokens:
    """The answer's tokens, with the prompt's names: without a tokenizer a response may name one id in two ways."""
    table, own = prompt.pieces, generated.pieces
    places = {number: row for row, number in enumerate(table.ids.tolist()) if number >= 0}
    entries = []
    for row, number in enumerate(own.ids.tolist()):
        other, at = (table, places[number]) if number in places else (own, row)
        entries.append((number, other.bytes_of(at), bool(other.special[at])))
    return replace(generated, pieces=make_pieces(entries))


def provenance(wire_format: Format, tokenizer: Tokenizer | None) -> tuple[tuple[str, str], ...]:
    """Where a completion that came over the wire comes from."""
    return (("format", str(wire_format)), ("vocabulary", "none" if tokenizer is None else tokenizer.fingerprint))


@dataclass(frozen=True, eq=False)
class Read:
    """Some tokens of a response, how the chosen ones were found, and what is to be said of them.

    checked: whether they were held against the text that came with them. wrong: whether that failed for want of the
    right tokenizer. fit: how the answer's tokens go with its text. garbled: whether only as the model's decoder
    writes them (`Vocabulary.garbled`).
    """

    tokens: Tokens
    ways: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    checked: bool = False
    wrong: bool = False
    fit: Fit = Fit.SPELLS
    garbled: bool = False


def read_prompt(response: Response, answer: Answer, request: Request | None, tokenizer: Tokenizer | None) -> Read:
    """The tokens of the prompt; unscored where the response has no scores, none where even the ids are unknown."""
    readings = [] if tokenizer is None or request is None else tokenizer.readings(request, response.created)
    vocabulary = None if tokenizer is None else tokenizer.vocabulary
    warnings = []
    if readings and response.prompt_tokens is not None and response.prompt_tokens not in map(len, readings):
        warnings.append(
            f"The model counts {response.prompt_tokens:,} tokens in the prompt, the tokenizer {len(readings[0]):,}. "
            "It may be another model's, or the prompt not the one that was sent."
        )
    if answer.prompt is None:
        fitting = [ids for ids in _sent_ids(answer, readings) if len(ids) == (response.prompt_tokens or len(ids))]
        if not fitting:
            return Read(NO_TOKENS, (), tuple(warnings))
        return Read(_unscored(fitting[0], vocabulary), ("tokens",), tuple(warnings))
    found = answer.prompt
    k, inferred = _k_of(response.wire_format, request, found)
    if inferred and k:
        warnings.append(_INFERRED.format(part="prompt", k=k, are="is" if k == 1 else "are"))
    if tokenizer is None and found.literals is not None and (respell := in_plain_spelling(found.literals)):
        found = replace(found, literals=tuple(map(respell, found.literals)))
    own = np.full(len(found), -1, np.int32)
    for ids in _sent_ids(answer, readings):
        if (matched := ways.by_ids(found, ids)) is not None:
            decided = replace(found, chosen=matched)
            used: tuple[str, ...] = ("tokens",)
            own = np.array(ids, np.int32)
            break
    else:
        sure = [("rank", ways.by_rank(found, k)), ("single entry", ways.by_single_entry(found))]
        known, _ = ways.decided(found, sure)
        decided, used = ways.decided(found, [*sure, ("order", ways.by_order(found, known.chosen))])
        if readings:
            warnings.append(_OTHER_READING + (_DATED if tokenizer is not None and tokenizer.render_on else ""))
        warnings += _undecided(decided, "prompt")
    tokens = to_tokens(decided, own, k, vocabulary)
    tokens = tokens.with_kinds(prompt_kinds(tokens.pieces, tokens.refs, by_looks=tokenizer is None))
    if tokenizer is not None and not _knows(tokenizer, tokens):
        raise WrongTokenizer
    wrong = bool(readings) and used != ("tokens",) and request is not None and request.prompt is not None
    return Read(tokens, used, tuple(warnings), wrong=wrong and not _spells(tokens, request))


def _spells(tokens: Tokens, request: Request | None) -> bool:
    """Whether the known tokens stand in the prompt one after another."""
    text, place = (request.prompt or "").encode("utf-8", "surrogatepass") if request else b"", 0
    for ref in tokens.refs[tokens.kinds == TokenKind.TEXT].tolist():
        blob = tokens.pieces.bytes_of(ref).strip()
        place = text.find(blob, place)
        if place < 0:
            return False
    return True


def _sent_ids(answer: Answer, readings: list[list[int]]) -> list[Sequence[int]]:
    return [*([answer.prompt_ids] if answer.prompt_ids is not None else []), *readings]


def _unscored(ids: Sequence[int], vocabulary: Vocabulary | None) -> Tokens:
    pieces, refs = table_for(np.array(ids, np.int32), None, vocabulary)
    return make_tokens(pieces, refs, kinds=prompt_kinds(pieces, refs))


def _k_of(wire_format: Format, request: Request | None, found: Positions) -> tuple[int, bool]:
    """How many alternatives were asked for, and whether that is only inferred."""
    if wire_format.is_bedrock:
        return 1, False
    if request is not None:
        return carried_k(wire_format, request.k), False
    return min(inferred_k(found), MAX_K), True


def read_answer(
    wire_format: Format,
    answer: Answer,
    request: Request | None,
    tokenizer: Tokenizer | None,
    prompt_text: str = "",
    *,
    strict: bool = True,
    held: bool = True,
    thinking: str | None = None,
    counted: int | None = None,
) -> Read:
    """The tokens of the answer, or of the rest of one (`thinking` as in `AnswerParser`).

    held: whether strings that do not spell the text are held against it, as they are once all of it is there.
    counted: the answer's tokens, as the service counts them. Raises WrongTokenizer where, if `strict`, the vocabulary
    does not spell the text although the strings of the response do, or it sent none.
    """
    found = answer.generated
    if found is None:
        return Read(_as_one(answer.text))
    shape = _shape_of(answer, request, prompt_text, thinking)

    def attempt(found: Positions) -> tuple[Read, Positions]:
        return _attempt(wire_format, found, answer, shape, request, tokenizer)

    read, decided = attempt(found)
    told: Told | None = None
    if held and not wire_format.is_bedrock and read.fit is not Fit.SPELLS:
        told = hold(found, shape, counted=counted)
        if told.found is not found:
            read, decided = attempt(told.found)
    listed = len(found)
    cut = read.fit is Fit.SHORTER and held and (counted is None or counted > listed)
    if cut:
        read = _with_rest(read, answer.text)
    named = told is None or told.spells
    misspelled = named and read.fit in (Fit.DIFFERS, Fit.SHORTER) and bool((read.tokens.refs >= 0).all())
    wrong = tokenizer is not None and (misspelled or not _knows(tokenizer, read.tokens))
    if strict and wrong:
        raise WrongTokenizer
    warnings = [] if told is None else _said(told, listed, counted)
    if read.fit is Fit.LONGER and held and (told is None or not told.nameless):
        warnings = [LONGER, *(each for each in warnings if each != NOT_SPELLED)]
    unseen = wire_format.is_bedrock and tokenizer is None and counted is not None and counted > listed + shape.stopped
    if cut or unseen:
        warnings.append(_GAPS if counted is None else _TOO_FEW.format(listed=listed, count=counted))
    warnings += [_GARBLED] if read.garbled else []
    k, inferred = _k_of(wire_format, request, found)
    if inferred and k:
        warnings.append(_INFERRED.format(part="answer", k=k, are="is" if k == 1 else "are"))
    if tokenizer is None and read.fit is Fit.DIFFERS and has_reasoning(answer.text) and _by_ids(wire_format, found):
        warnings.append(_UNTOLD)
    if held and listed and (decided.chosen >= 0).all() and np.isnan(decided.logprobs[decided.chosen]).all():
        warnings.append(_NO_SCORES)
    if told is None or not told.nameless:
        warnings += _undecided(decided, "answer")
    return replace(read, warnings=tuple(warnings), wrong=wrong)


def _shape_of(answer: Answer, request: Request | None, prompt_text: str, thinking: str | None) -> Shape:
    return Shape(
        answer.text,
        answer.stop_reason not in CUT_SHORT,
        answer.reasoning,
        answer.tools or answer.stop_reason in _CALLS,
        prompt_text,
        thinking,
        () if answer.stop_reason is None else None if request is None else request.stop,
    )


def _by_ids(wire_format: Format, found: Positions) -> bool:
    return wire_format.is_bedrock or bool((found.ids[found.chosen[found.chosen >= 0]] >= 0).all())


def _with_rest(read: Read, text: str) -> Read:
    """With the rest of a text that goes on after its tokens, as one unscored piece."""
    tokens = read.tokens
    data = b"".join(tokens.pieces.bytes_of(ref) for ref in tokens.refs.tolist() if ref >= 0)
    spelled = data.decode("utf-8", "replace")
    rest = text.removeprefix(spelled) if text.startswith(spelled) else text.removeprefix(spelled.lstrip())
    return replace(read, tokens=concatenate([tokens, _as_one(rest)]), fit=Fit.SPELLS)


def _attempt(
    wire_format: Format,
    found: Positions,
    answer: Answer,
    shape: Shape,
    request: Request | None,
    tokenizer: Tokenizer | None,
) -> tuple[Read, Positions]:
    """The tokens of the answer, read from these positions, and the positions with what was chosen."""
    k, _ = _k_of(wire_format, request, found)
    used: tuple[str, ...] = ("name",)
    if wire_format.is_bedrock:
        decided, used = _chosen_of_bedrock(found, answer, tokenizer, shape.stopped)
    else:
        decided = _spelled(wire_format, found, answer, request, tokenizer)
    vocabulary = None if tokenizer is None else tokenizer.vocabulary
    tokens = to_tokens(decided, np.full(len(found), -1, np.int32), k, vocabulary)
    pieces = [
        (tokens.pieces.bytes_of(ref), bool(tokens.pieces.special[ref])) if ref >= 0 else (b"", False)
        for ref in tokens.refs.tolist()
    ]
    kinds, fit = answer_kinds(pieces, shape)
    garbled = False
    if fit is not Fit.SPELLS and vocabulary is not None and vocabulary.garbled:
        written = dict(vocabulary.garbled)
        as_written = [
            (written.get(number, blob), special)
            for number, (blob, special) in zip(tokens.ids.tolist(), pieces, strict=True)
        ]
        other, other_fit = answer_kinds(as_written, shape)
        garbled = other_fit is Fit.SPELLS
        kinds, fit = (other, other_fit) if garbled else (kinds, fit)
    if tokenizer is None and wire_format.is_bedrock:
        kinds[:] = TokenKind.TEXT
        fit = Fit.DIFFERS
    checked = bool(answer.text.strip()) and len(tokens) > 0 and tokenizer is not None
    tokens = _without_unknown(tokens.with_kinds(kinds))
    return Read(tokens, used if len(found) else (), checked=checked, fit=fit, garbled=garbled), decided


def _said(told: Told, count: int, counted: int | None) -> list[str]:
    """What is to be said of strings that were held against the text."""
    warnings = []
    if told.nameless:
        warnings.append(_NO_NAMES)
    elif not told.spells:
        warnings.append(NOT_SPELLED)
    if told.unnamed:
        warnings.append(_NO_STRINGS.format(count=told.unnamed))
    if told.gaps:
        warnings.append(_GAPS if counted is None else _TOO_FEW.format(listed=count, count=counted))
    return warnings


def _without_unknown(tokens: Tokens) -> Tokens:
    """With no score for a stop token that was listed without text: the p of 0 sent for it stands for "not known"."""
    last = len(tokens) - 1
    if last < 0 or tokens.kinds[last] != TokenKind.STOP or tokens.logprobs[last] != -np.inf:
        return tokens
    ref = int(tokens.refs[last])
    if ref >= 0 and tokens.pieces.bytes_of(ref):
        return tokens
    logprobs = tokens.logprobs.copy()
    logprobs[last] = np.nan
    return replace(tokens, logprobs=logprobs)


def _chosen_of_bedrock(
    found: Positions, answer: Answer, tokenizer: Tokenizer | None, stopped: bool
) -> tuple[Positions, tuple[str, ...]]:
    sure: list[tuple[str, Ints]] = []
    if tokenizer is not None:
        sure.append(("text", ways.by_text(found, answer.text, tokenizer, stopped=stopped)))
    sure.append(("single entry", ways.by_single_entry(found)))
    known, _ = ways.decided(found, sure)
    return ways.decided(found, [*sure, ("order", ways.by_order(found, known.chosen))])


def _spelled(
    wire_format: Format, found: Positions, answer: Answer, request: Request | None, tokenizer: Tokenizer | None
) -> Positions:
    """With ids and ranks as far as they can be told."""
    ambiguous: set[bytes] | None = None
    if wire_format is Format.OPENAI:  # its lists are keyed by string, so that equal strings hide one another
        names = {} if tokenizer is None else tokenizer.names
        texts = found.literals or ()
        ambiguous = {blob for blob in texts if len(names.get(blob.decode("utf-8", "replace"), ())) > 1}
    k, inferred = _k_of(wire_format, request, found)
    ranked = ranks_of(found, k, ambiguous, roomy=wire_format is Format.OPENAI and not inferred)
    if tokenizer is None:
        if answer.ids is not None and len(answer.ids) == len(ranked) and (ranked.chosen >= 0).all():
            ids = ranked.ids.copy()
            ids[ranked.chosen] = answer.ids
            return replace(ranked, ids=ids)
        return ranked
    text = answer.text if not (answer.reasoning or answer.tools) else ""
    return with_ids(ranked, text, tokenizer, answer.ids)


def _undecided(found: Positions, part: str) -> list[str]:
    """What is to be said where it cannot be told which token stands at a place."""
    count = int(((found.chosen < 0) & (found.counts > 0)).sum())
    if not count:
        return []
    places = "one place" if count == 1 else f"{count:,} places"
    return [_UNDECIDED.format(places=places, part=part)]


def _knows(tokenizer: Tokenizer, tokens: Tokens) -> bool:
    """Whether the tokenizer's vocabulary has every token."""
    ids = tokens.ids
    return tokenizer.knows(ids[ids >= 0])


def _as_one(text: str) -> Tokens:
    """An answer whose tokens are not known: its text as one unscored piece."""
    if not text:
        return NO_TOKENS
    return make_tokens(make_pieces([(-1, text.encode("utf-8", "surrogatepass"), False)]), np.zeros(1, np.int32))


def _without_echo(
    response: Response, answer: Answer, request: Request | None, tokenizer: Tokenizer | None
) -> tuple[Answer, str]:
    """With `echo`, prompt and answer come as one; they are told apart by the unscored first token and its count."""
    text = (request and request.prompt) or ""
    if request is not None and request.prompt is None and tokenizer is not None:
        text = tokenizer.prompt_text(request) or ""
    found, count = answer.generated, _echoed(response, answer, text)
    echoed = (
        response.wire_format is Format.OPENAI
        and found is not None
        and answer.prompt is None
        and count is not None
        and 0 < count <= len(found)
        and found.chosen[0] >= 0
        and bool(np.isnan(found.logprobs[found.chosen[0]]))
    )
    if not echoed or found is None or count is None:
        return answer, text
    own = found.between(0, count)
    rest = found.between(count, len(found))
    length = len(text) if text and answer.text.startswith(text) else spelled_length(_chosen_literals(own), answer.text)
    prompt = own if tokenizer is None else with_ids(own, answer.text[:length], tokenizer)
    return replace(answer, prompt=prompt, generated=rest, text=answer.text[length:]), text


def _echoed(response: Response, answer: Answer, text: str) -> int | None:
    """How many tokens the prompt takes in an answer that repeats it, None where nothing tells.

    The text of the prompt decides where it is known, then the service's counts: of the prompt, unless both together are
    not the tokens listed, as where BOS is counted and not listed.
    """
    found, count, written = answer.generated, response.prompt_tokens, response.generated_tokens
    if found is None:
        return None
    if text and answer.text.startswith(text) and found.literals is not None and (found.chosen >= 0).all():
        place, data = 0, text.encode("utf-8", "surrogatepass")
        for number, name in enumerate(_chosen_literals(found)):
            if place >= len(data):
                return number
            place += len(name) if data.startswith(name, place) else 0
        return len(found) if place >= len(data) else count
    if count is not None and written is not None and len(response.answers) == 1 and count + written != len(found):
        return len(found) - written if 0 < written < len(found) else count
    return count


def _chosen_literals(found: Positions) -> list[bytes]:
    literals = found.literals or ()
    return [literals[place] for place in found.chosen.tolist() if place >= 0 and literals]
