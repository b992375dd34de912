"""Decode a response into completions: parse it, separate an echoed prompt, then decode each prompt and answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from lib.core.answer_parser import without_opening
from lib.core.completion import Completion
from lib.core.pieces import make_pieces
from lib.core.request import Request
from lib.core.tokens import MOST_CELLS, Tokens, cells_of
from lib.errors import BadResponse
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire import decode_warnings as warn
from lib.wire.decode_answer import TOOL_CALLS, TRUNCATED, AnswerContext, decode_answer
from lib.wire.decode_prompt import decode_prompt
from lib.wire.decode_warnings import text_differs
from lib.wire.decoded_tokens import DecodedTokens, WrongTokenizer
from lib.wire.echo import prompt_text_of, without_echo
from lib.wire.formats import Format
from lib.wire.parse import parse
from lib.wire.positions import too_many
from lib.wire.response import Answer, Response
from lib.wire.top_level import TopLevel

STOP_REASONS = dict.fromkeys(("stop", "eos_token", "end_turn", "STOP", *TOOL_CALLS), "stop") | dict.fromkeys(
    TRUNCATED, "length"
)


def decode(
    data: bytes,
    request: Request | None = None,
    tokenizer: Tokenizer | None = None,
    *,
    model: str = "",
    top: TopLevel | None = None,
) -> tuple[Completion, ...]:
    """Decode a response in any format, one completion per answer. Raises BadResponse.

    request: the request, if known; it determines the prompt's tokens and the number of alternatives.
    tokenizer: the model's own. Without one, or with another model's, tokens go by the response's strings or by id.
    model: the model's name; by default the response's.
    top: as in `parse`.
    """
    response = parse(data, names=tokenizer is None, top=top)
    if not response.answers:
        raise BadResponse("The response has no answer.", "Open the whole response.")
    try:
        return _Decoder(response, request, tokenizer, model).completions()
    except WrongTokenizer:
        if response.guarded:
            return _Decoder(response, request, tokenizer, model, strict=False).completions()
        found = _Decoder(parse(data, top=top), request, None, model).completions()
        return tuple(replace(each, warnings=(warn.WRONG_TOKENIZER, *each.warnings)) for each in found)


@dataclass(frozen=True, eq=False)
class _Decoder:
    """Decodes the answers of one response."""

    response: Response
    request: Request | None
    tokenizer: Tokenizer | None
    model: str
    strict: bool = True  # whether to raise WrongTokenizer
    _prompts: dict[object, DecodedTokens] = field(default_factory=dict)  # answers share theirs

    def completions(self) -> tuple[Completion, ...]:
        found: list[Completion] = []
        cells = 0
        for answer in self.response.answers:
            done = self._completion(answer)
            found.append(done)
            cells += cells_of((done.prompt, done.generated))
            if cells > MOST_CELLS:
                raise too_many()
        return tuple(found)

    def _completion(self, answer: Answer) -> Completion:
        response, request, tokenizer = self.response, self.request, self.tokenizer
        prompt_text = prompt_text_of(request, tokenizer)
        answer = _without_empty_lists(without_echo(response, answer, prompt_text, tokenizer))
        prompt = self._prompt_of(answer)
        generated = decode_answer(answer, self._context(prompt_text))
        if request is not None and request.max_tokens == 0 and len(generated.tokens) <= 1:
            generated = replace(generated, tokens=generated.tokens[:0])
            answer = replace(answer, text="", stop_reason="length")
        if self.strict and not generated.checked and prompt.wrong:
            raise WrongTokenizer
        tokens = without_opening(generated.tokens)
        unopened = tokens is not generated.tokens and not answer.reasoning
        tokens = tokens if tokenizer is not None else with_prompt_names(prompt.tokens, tokens)
        warnings = [warn.GUARDED] if response.guarded else []
        warnings += unless_guarded((*prompt.warnings, *generated.warnings), response.guarded)
        warnings += [warn.UNOPENED] if unopened else []
        warnings += self._missing_warnings(answer, tokens)
        named = (("prompt", prompt), ("answer", generated))
        return Completion(
            request=request,
            model=self.model or response.model,
            prompt=prompt.tokens,
            generated=tokens,
            text=answer.text,
            stop_reason=STOP_REASONS.get(answer.stop_reason or "", answer.stop_reason),
            chosen_by="; ".join(f"{part}: {', '.join(each.ways)}" for part, each in named if each.ways),
            vocabulary_size=None if tokenizer is None else len(tokenizer.vocabulary),
            warnings=tuple(dict.fromkeys(warnings)),
            provenance=provenance(response.wire_format, tokenizer),
        )

    def _prompt_of(self, answer: Answer) -> DecodedTokens:
        key = id(answer.prompt), answer.prompt_ids
        if key not in self._prompts:
            self._prompts[key] = decode_prompt(self.response, answer, self.request, self.tokenizer)
        return self._prompts[key]

    def _context(self, prompt_text: str) -> AnswerContext:
        response = self.response
        return AnswerContext(
            response.wire_format,
            self.request,
            self.tokenizer,
            prompt_text,
            counted=response.generated_tokens,
            strict=self.strict,
        )

    def _missing_warnings(self, answer: Answer, tokens: Tokens) -> list[str]:
        """The warnings about logprobs that the response lacks."""
        wire_format, request = self.response.wire_format, self.request
        warnings = []
        if wire_format is Format.OPENAI and answer.prompt is None and _lacks_first(tokens):
            warnings.append(warn.ECHO)
        if answer.generated is None and answer.prompt is None:
            warnings.append(warn.NO_LOGPROBS)
        elif answer.generated is None and answer.text:
            warnings.append(warn.NO_ANSWER_LOGPROBS)
        elif answer.prompt is None and request is not None and request.prompt_scores and wire_format.scores_prompts:
            warnings.append(warn.NO_PROMPT_LOGPROBS)
        return warnings


def _without_empty_lists(answer: Answer) -> Answer:
    """Read an empty list of logprobs, which some servers send instead of none, as none."""
    if answer.generated is not None and not len(answer.generated) and (answer.text or answer.reasoning):
        return replace(answer, generated=None)
    return answer


def _lacks_first(tokens: Tokens) -> bool:
    """Whether the first token alone is unscored."""
    known = ~np.isnan(tokens.logprobs)
    return len(tokens) > 1 and not known[0] and bool(known[1:].all())


def unless_guarded(warnings: tuple[str, ...], guarded: bool) -> list[str]:
    """The warnings, without those that a guardrail's change of the text explains."""
    return [each for each in warnings if not (guarded and each in (warn.NOT_SPELLED, warn.LONGER))]


def with_prompt_names(prompt: Tokens, generated: Tokens) -> Tokens:
    """The answer's tokens under the prompt's names: without a tokenizer, a response may name one id in two ways."""
    table, own = prompt.pieces, generated.pieces
    rows = {number: row for row, number in enumerate(table.ids.tolist()) if number >= 0}
    entries = []
    for row, number in enumerate(own.ids.tolist()):
        source, at = (table, rows[number]) if number in rows else (own, row)
        entries.append((number, source.bytes_of(at), bool(source.special[at])))
    return replace(generated, pieces=make_pieces(entries))


def provenance(wire_format: Format, tokenizer: Tokenizer | None) -> tuple[tuple[str, str], ...]:
    """The origin of a completion that was decoded from a response."""
    return (("format", str(wire_format)), ("vocabulary", "none" if tokenizer is None else tokenizer.fingerprint))


__all__ = ["STOP_REASONS", "decode", "provenance", "text_differs", "unless_guarded", "with_prompt_names"]
