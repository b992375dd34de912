"""A streamed response, chunk by chunk, as deltas.

Text and tokens arrive on their own ways: a chunk may hold tokens whose text is held back, as it may be the beginning
of a stop string. A token is passed on once the text has reached it; what the text never reaches ended the answer.
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
from lib.wire.decode import (
    GUARDED,
    LONGER,
    MISMATCH,
    NO_LOGPROBS,
    NOT_SPELLED,
    STOPS,
    Read,
    WrongTokenizer,
    named_alike,
    provenance,
    read_answer,
    read_prompt,
)
from lib.wire.formats import Format
from lib.wire.parse import Answer, Response, parse
from lib.wire.positions import NO_POSITIONS, Positions

CUT_OFF = "The stream ended before its answer did. What had come is kept."
_LATE = (
    "The scores of the prompt came only after the answer had begun, and are not shown. "
    "Ask without streaming to see them."
)


class StreamReader:
    """Reads the chunks of one streamed answer. Feed it every chunk, then close it."""

    def __init__(self, request: Request, tokenizer: Tokenizer | None, *, model: str = "") -> None:
        self._request, self._tokenizer, self._model = request, tokenizer, model
        self._prompt_text = "" if tokenizer is None else tokenizer.prompt_text(request) or ""
        self._started = False
        self._wire_format = Format.BEDROCK
        self._text = ""
        self._found: Positions = NO_POSITIONS
        self._seen = False  # any logprobs at all
        self._written = False  # any text at all
        self._empty = False  # lists of logprobs that are empty
        self._guarded = False
        self._late = False  # scores of the prompt after the first chunk
        self._thinking: str | None = None
        self._names = NO_TOKENS  # what has been passed on, where there is no tokenizer to name ids
        self._reason: str | None = None
        self._counted: int | None = None
        self.over = False

    def feed(self, data: bytes) -> Iterator[Delta]:
        """The deltas that a chunk settles. What is no JSON is passed over. Raises BadResponse."""
        if not data.lstrip().startswith(b"{"):
            return  # such as the [DONE] of server-sent events
        response = parse(data, names=self._tokenizer is None)
        self._counted = response.prompt_tokens if response.prompt_tokens is not None else self._counted
        self.over = self.over or response.final
        self._guarded = self._guarded or response.guarded
        for answer in response.answers[:1]:
            if not self._started:
                yield self._start(response, answer)
            elif answer.prompt is not None:
                self._late = True
            self._text += answer.text
            self._written = self._written or bool(answer.text)
            self._reason = answer.stop_reason or self._reason
            if answer.generated is not None:
                self._seen = self._seen or len(answer.generated) > 0
                self._empty = True
                self._found = _joined(self._found, answer.generated)
            yield from self._settled(answer.text)

    def close(self, timing: Timing | None = None) -> Iterator[Delta]:
        """The last deltas. A stream without a sign of its end is incomplete."""
        if not self._started:
            raise BadResponse("The stream ended before anything had come.", "Ask again.")
        read = self._read(final=True)
        if len(read.tokens):
            yield Delta(0, generated=self._named(read.tokens))
        warnings = [] if self.over else [CUT_OFF]
        warnings += [_LATE] if self._late else []
        warnings += [GUARDED] if self._guarded else []
        if not self._seen and (self._written or not self._empty):
            warnings.append(NO_LOGPROBS)
        elif read.wrong and not self._guarded:
            warnings.append(MISMATCH)
        warnings += [each for each in read.warnings if not (self._guarded and each in (NOT_SPELLED, LONGER))]
        said = self._reason and STOPS.get(self._reason, self._reason)
        reason = said if self.over else "incomplete"
        yield Delta(0, end=End(reason, timing or Timing(), tuple(warnings)))

    def _start(self, response: Response, answer: Answer) -> Delta:
        self._started, self._wire_format = True, response.wire_format
        try:
            prompt = read_prompt(response, answer, self._request, self._tokenizer)
        except WrongTokenizer:
            self._tokenizer = None
            prompt = read_prompt(response, answer, self._request, None)
            prompt = replace(prompt, warnings=(MISMATCH, *prompt.warnings))
        self._names = prompt.tokens
        written = "single entry" if response.wire_format.is_bedrock else "name"
        how = [f"prompt: {', '.join(prompt.ways)}"] * bool(prompt.ways) + [f"answer: {written}"]
        start = Completion(
            request=self._request,
            model=self._model or response.model,
            prompt=prompt.tokens,
            generated=NO_TOKENS,
            text="",
            chosen_by="; ".join(how),
            vocabulary_size=None if self._tokenizer is None else len(self._tokenizer.vocabulary),
            warnings=prompt.warnings,
            provenance=provenance(response.wire_format, self._tokenizer),
        )
        return Delta(0, start=start)

    def _settled(self, text: str) -> Iterator[Delta]:
        """New text, and the tokens that it settles. Only what is not settled yet is looked at again."""
        tokens = self._read(final=False).tokens
        count, place = _reached(tokens, self._text)
        reader = AnswerParser((), self._prompt_text, thinking=self._thinking)
        for ref in tokens.refs[:count].tolist():
            if ref >= 0:
                reader.push(tokens.pieces.bytes_of(ref), bool(tokens.pieces.special[ref]))
        if reader.thinking == "start":
            count = 0  # it may still turn out to be reasoning
        if count:
            self._thinking = reader.thinking
            self._found = self._found.between(count, len(self._found))
            self._text = self._text.encode("utf-8", "surrogatepass")[place:].decode("utf-8", "surrogatepass")
        if count or text:
            yield Delta(0, generated=self._named(tokens[:count]) if count else None, text=text)

    def _named(self, tokens: Tokens) -> Tokens:
        """The tokens, their ids named as they were before."""
        if self._tokenizer is not None:
            return tokens
        named = named_alike(self._names, tokens)
        self._names = concatenate([self._names, named])
        return named

    def _read(self, *, final: bool) -> Read:
        """The tokens that are not settled, with what is known of them by now. final: no more will come."""
        if not len(self._found):
            return Read(NO_TOKENS)
        answer = Answer(0, self._text, self._found, self._reason if final else "length")
        return read_answer(
            self._wire_format,
            answer,
            self._request,
            self._tokenizer,
            self._prompt_text,
            strict=False,
            held=final,
            thinking=self._thinking,
        )


def _joined(one: Positions, other: Positions) -> Positions:
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
    """How many tokens the text has reached to their end, and how many of its bytes they are.

    A special token has no text; it is reached with the token after it.
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
