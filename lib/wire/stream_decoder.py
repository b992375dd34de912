"""Decode a streamed response chunk by chunk into deltas.

Text and tokens arrive separately: a service holds text back while it may be the beginning of a stop string. A token is
passed on once the text has reached it. Tokens that the text never reaches ended the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lib.core.answer_parser import AnswerParser
from lib.core.completion import Completion, Timing
from lib.core.request import Request
from lib.core.stream import Delta, End
from lib.core.tokens import NO_TOKENS, Tokens, concatenate
from lib.errors import BadResponse
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.decode import STOP_REASONS, provenance, unless_guarded, with_prompt_names
from lib.wire.decode_answer import AnswerContext, decode_answer
from lib.wire.decode_prompt import decode_prompt
from lib.wire.decode_warnings import GUARDED, MISMATCH, NO_LOGPROBS
from lib.wire.decoded_tokens import DecodedTokens, WrongTokenizer
from lib.wire.formats import Format
from lib.wire.parse import parse
from lib.wire.positions import NO_POSITIONS, Positions
from lib.wire.response import Answer, Response

CUT_OFF = "The stream ended before the answer did. The partial answer is kept."
_LATE = (
    "The prompt logprobs arrived only after the answer had started, and are not shown. Run it without streaming to see "
    "them."
)


class StreamReader:
    """Reads the chunks of one streamed answer. Feed it every chunk, then close it."""

    def __init__(self, request: Request, tokenizer: Tokenizer | None, *, model: str = "") -> None:
        self._request, self._tokenizer, self._model = request, tokenizer, model
        self._prompt_text = "" if tokenizer is None else tokenizer.prompt_text(request) or ""
        self._started = False
        self._wire_format = Format.BEDROCK
        self._text = ""  # not settled yet
        self._found: Positions = NO_POSITIONS  # not settled yet
        self._has_logprobs = False
        self._has_text = False
        self._has_lists = False  # lists of logprobs, though they may be empty
        self._guarded = False
        self._prompt_was_late = False  # prompt logprobs after the first chunk
        self._thinking: str | None = None
        self._named_tokens = NO_TOKENS  # settled; they name ids if there is no tokenizer
        self._reason: str | None = None
        self.over = False

    def feed(self, data: bytes) -> Iterator[Delta]:
        """The deltas that a chunk settles. Skips what isn't JSON. Raises BadResponse."""
        if not data.lstrip().startswith(b"{"):
            return  # such as the [DONE] of server-sent events
        response = parse(data, names=self._tokenizer is None)
        self.over = self.over or response.final
        self._guarded = self._guarded or response.guarded
        for answer in response.answers[:1]:
            if not self._started:
                yield self._start(response, answer)
            elif answer.prompt is not None:
                self._prompt_was_late = True
            self._add(answer)
            yield from self._settled(answer.text)

    def close(self, timing: Timing | None = None) -> Iterator[Delta]:
        """The last deltas. A stream that doesn't say it is over is incomplete. Raises BadResponse for an empty one."""
        if not self._started:
            raise BadResponse("The stream ended before the answer started.", "Try again.")
        last = self._decode(final=True)
        if len(last.tokens):
            yield Delta(0, generated=self._with_names(last.tokens))
        said = self._reason and STOP_REASONS.get(self._reason, self._reason)
        reason = said if self.over else "incomplete"
        yield Delta(0, end=End(reason, timing or Timing(), self._warnings(last)))

    def _add(self, answer: Answer) -> None:
        self._text += answer.text
        self._has_text = self._has_text or bool(answer.text)
        self._reason = answer.stop_reason or self._reason
        if answer.generated is not None:
            self._has_logprobs = self._has_logprobs or len(answer.generated) > 0
            self._has_lists = True
            self._found = _concatenated(self._found, answer.generated)

    def _warnings(self, last: DecodedTokens) -> tuple[str, ...]:
        warnings = [] if self.over else [CUT_OFF]
        warnings += [_LATE] if self._prompt_was_late else []
        warnings += [GUARDED] if self._guarded else []
        if not self._has_logprobs and (self._has_text or not self._has_lists):
            warnings.append(NO_LOGPROBS)
        elif last.wrong and not self._guarded:
            warnings.append(MISMATCH)
        return (*warnings, *unless_guarded(last.warnings, self._guarded))

    def _start(self, response: Response, answer: Answer) -> Delta:
        self._started, self._wire_format = True, response.wire_format
        try:
            prompt = decode_prompt(response, answer, self._request, self._tokenizer)
        except WrongTokenizer:
            self._tokenizer = None
            prompt = decode_prompt(response, answer, self._request, None)
            prompt = replace(prompt, warnings=(MISMATCH, *prompt.warnings))
        self._named_tokens = prompt.tokens
        way = "single entry" if response.wire_format.is_bedrock else "name"
        ways = [f"prompt: {', '.join(prompt.ways)}"] * bool(prompt.ways) + [f"answer: {way}"]
        start = Completion(
            request=self._request,
            model=self._model or response.model,
            prompt=prompt.tokens,
            generated=NO_TOKENS,
            text="",
            chosen_by="; ".join(ways),
            vocabulary_size=None if self._tokenizer is None else len(self._tokenizer.vocabulary),
            warnings=prompt.warnings,
            provenance=provenance(response.wire_format, self._tokenizer),
        )
        return Delta(0, start=start)

    def _settled(self, text: str) -> Iterator[Delta]:
        """New text, and the tokens that it settles. Only what isn't settled yet is decoded again."""
        tokens = self._decode(final=False).tokens
        count, place = _reached(tokens, self._text)
        parser = AnswerParser((), self._prompt_text, thinking=self._thinking)
        for ref in tokens.refs[:count].tolist():
            if ref >= 0:
                parser.push(tokens.pieces.bytes_of(ref), bool(tokens.pieces.special[ref]))
        if parser.thinking == "start":
            count = 0  # it may still turn out to be reasoning
        if count:
            self._thinking = parser.thinking
            self._found = self._found.between(count, len(self._found))
            self._text = self._text.encode("utf-8", "surrogatepass")[place:].decode("utf-8", "surrogatepass")
        if count or text:
            yield Delta(0, generated=self._with_names(tokens[:count]) if count else None, text=text)

    def _with_names(self, tokens: Tokens) -> Tokens:
        """The tokens, with the names their ids had before."""
        if self._tokenizer is not None:
            return tokens
        named = with_prompt_names(self._named_tokens, tokens)
        self._named_tokens = concatenate([self._named_tokens, named])
        return named

    def _decode(self, *, final: bool) -> DecodedTokens:
        """The tokens that aren't settled, as far as they are known now. final: whether the stream is over."""
        if not len(self._found):
            return DecodedTokens(NO_TOKENS)
        answer = Answer(0, self._text, self._found, self._reason if final else "length")
        context = AnswerContext(
            self._wire_format,
            self._request,
            self._tokenizer,
            self._prompt_text,
            strict=False,
            complete=final,
            thinking=self._thinking,
        )
        return decode_answer(answer, context)


def _concatenated(one: Positions, other: Positions) -> Positions:
    if not len(one):
        return other
    start = int(one.offsets[-1])
    literals = None
    if one.literals is not None or other.literals is not None:
        literals = (one.literals or (b"",) * len(one.ids)) + (other.literals or (b"",) * len(other.ids))
    return Positions(
        np.concatenate([one.offsets, other.offsets[1:] + start]).astype(np.int32),
        np.concatenate([one.ids, other.ids]),
        np.concatenate([one.logprobs, other.logprobs]),
        np.concatenate([one.ranks, other.ranks]),
        literals,
        np.concatenate([one.chosen, np.where(other.chosen >= 0, other.chosen + start, other.chosen)]).astype(np.int32),
    )


def _reached(tokens: Tokens, text: str) -> tuple[int, int]:
    """(number of tokens that the text has reached the end of, number of its bytes that they are).

    A special token has no text; it is reached together with the token after it.
    """
    data = text.encode("utf-8", "surrogatepass")
    place, whole = 0, (0, 0)
    for row, ref in enumerate(tokens.refs.tolist()):
        if ref >= 0 and tokens.pieces.special[ref]:
            continue
        blob = tokens.pieces.bytes_of(ref)
        lead = 1 if place == 0 and len(blob) > 1 and blob.startswith(b" ") and not data.startswith(blob) else 0
        # Whole characters only: the text ends with one.
        if not blob or not data.startswith(blob[lead:], place):
            break
        place += len(blob) - lead
        if place == len(data) or data[place] & 0xC0 != 0x80:
            whole = (row + 1, place)
    return whole
