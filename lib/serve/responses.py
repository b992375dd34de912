"""Write completions as the service's response bodies: whole, or as the chunks of a stream."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lib.core.completion import Completion
from lib.core.pieces import make_pieces
from lib.core.stream import Delta
from lib.core.tokens import Tokens, concatenate, on_one_table
from lib.serve.behaviours import Behaviours
from lib.serve.faults import Fault
from lib.serve.models import ImportedModel
from lib.serve.mutations import mutated, truncate_top, without_score
from lib.serve.request_parsing import ParsedRequest
from lib.wire.encode import ChunkWriter, answer_logprobs, by_id, encode, usage
from lib.wire.encode_positions import sent_prompt
from lib.wire.formats import Format

METRICS = "amazon-bedrock-invocationMetrics"
DONE = b"[DONE]"


@dataclass(frozen=True)
class CallContext:
    """Everything besides the completion that decides what its response looks like."""

    parsed: ParsedRequest
    model: ImportedModel
    behaviours: Behaviours
    faults: Mapping[str, Fault]  # that this call meets, by kind

    @property
    def served_name(self) -> str:
        """The model's name in OpenAI's formats."""
        return f"{self.model.account}-{self.model.id}"


def to_json(response: Mapping[str, Any]) -> bytes:
    """A response or a chunk as JSON."""
    return json.dumps(response, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def response_of(samples: Sequence[Completion], call: CallContext) -> dict[str, Any]:
    """The response to InvokeModel."""
    parsed = call.parsed
    group = [_prepared(done, call) for done in samples]
    response = encode(
        group,
        parsed.wire_format,
        top=parsed.top,
        logprobs=parsed.logprobs,
        prompt_logprobs=parsed.prompt_logprobs,
        token_ids=parsed.token_ids,
    )
    if parsed.wire_format.is_bedrock:
        if parsed.logprobs and call.behaviours["second-entry"] == "with-most-likely":
            response["logprobs"] = with_most_likely(group[0].generated)
        if parsed.wire_format is Format.BEDROCK and call.behaviours["bedrock-prompt-logprobs"] == "null":
            response["prompt_logprobs"] = None
        if not call.model.has_logprobs:
            del response["logprobs"]
    else:
        response["id"] = new_id(parsed.wire_format)
        for choice, done in zip(response["choices"], group, strict=True) if parsed.echo else ():
            choice["text"] = (parsed.request.prompt or "") + done.text
            if parsed.logprobs:
                both = concatenate([truncate_top(done.prompt, parsed.top), done.generated])
                choice["logprobs"] = answer_logprobs(both, parsed.wire_format, parsed.top)
    return mutated(response, call.faults)


def new_id(wire_format: Format) -> str:
    """A random id of the form that OpenAI's formats use."""
    return f"{'chatcmpl' if wire_format is Format.CHAT else 'cmpl'}-{secrets.token_hex(16)}"


def with_most_likely(tokens: Tokens) -> list[dict[str, float | None] | None]:
    """BedrockCompletion's logprobs, with the most likely token as a second entry wherever another was sampled."""
    return by_id(sent_prompt(tokens, Format.EARLY))


def _prepared(done: Completion, call: CallContext) -> Completion:
    """The completion, reduced to what was requested."""
    parsed = call.parsed
    prompt = truncate_top(done.prompt, max(parsed.prompt_top, parsed.top if parsed.echo else 0))
    if parsed.as_ids:
        prompt = named_by_id(prompt)
    generated = _prepared_answer(done.generated, call)
    return replace(done, prompt=prompt, generated=generated, model=call.served_name)


def _prepared_answer(tokens: Tokens, call: CallContext, seen: int = 0) -> Tokens:
    """Tokens of the answer, reduced to what was requested. seen: tokens of the answer before these."""
    tokens = truncate_top(tokens, call.parsed.top)
    if (fault := call.faults.get("absent")) is not None:
        tokens = without_score(tokens, fault.position - seen)
    return named_by_id(tokens) if call.parsed.as_ids else tokens


def named_by_id(tokens: Tokens) -> Tokens:
    """The tokens, with `token_id:N` as the text of each."""
    small = on_one_table([tokens])[0]
    ids = small.pieces.ids.tolist()
    named = make_pieces([(number, f"token_id:{number}".encode(), False) for number in ids])
    return replace(small, pieces=named)


class Chunks:
    """Writes the chunks of a stream."""

    def __init__(self, call: CallContext, began: float) -> None:
        """began: `time.monotonic()` when the call arrived."""
        self._call, self._began = call, began
        self._id = new_id(call.parsed.wire_format)
        self._writers: dict[int, ChunkWriter] = {}
        self._held: dict[int, list[Tokens]] = {}
        self._counts: dict[int, int] = {}
        self._read = 0
        self._running = call.parsed.request.n
        self._first: float | None = None
        self._late: dict[str, Any] = {}  # fields that wait for the last chunk

    def of(self, deltas: Sequence[Delta]) -> Iterator[bytes]:
        """The chunks that these deltas make, each as JSON."""
        for delta in deltas:
            for chunk in self._of(delta):
                self._first = self._first or time.monotonic()
                yield to_json(mutated(chunk, self._call.faults))
        if not self._running:
            parsed = self._call.parsed
            if not parsed.wire_format.is_bedrock and self._call.behaviours["metrics"] == "own-chunk":
                yield to_json({METRICS: self._metrics()})
            if not parsed.wire_format.is_bedrock and self._call.behaviours["done-marker"] == "present":
                yield DONE

    def _of(self, delta: Delta) -> Iterator[dict[str, Any]]:
        parsed, number = self._call.parsed, delta.sample
        if delta.start is not None:
            start = _prepared(delta.start, self._call)
            self._read = len(start.prompt)
            writer = ChunkWriter(start, parsed.wire_format, top=parsed.top, logprobs=parsed.logprobs, index=number)
            self._writers[number], self._held[number], self._counts[number] = writer, [], 0
            yield from map(self._named, writer.opening())
        if delta.generated is None and not delta.text and delta.end is None:
            return
        last = delta.end is not None
        tokens = self._tokens(number, delta.generated, last=last)
        reason = None if delta.end is None else delta.end.stop_reason
        chunk = self._named(self._writers[number].chunk(tokens, delta.text, reason))
        if parsed.wire_format.is_bedrock:
            self._finish_bedrock(chunk, tokens, last=last)
        self._running -= last
        ends = last and not self._running
        if ends and self._metrics_end_with(usage_follows=parsed.usage):
            chunk[METRICS] = self._metrics()
        yield chunk
        if ends and parsed.usage:
            counted = self._named(self._writers[number].chunk(None, ""))
            counted |= {"choices": [], "usage": usage(self._read, sum(self._counts.values()))}
            if self._call.behaviours["metrics"] == "last-chunk":
                counted[METRICS] = self._metrics()
            yield counted

    def _metrics_end_with(self, *, usage_follows: bool) -> bool:
        """Whether the metrics are part of an answer's last chunk."""
        if self._call.parsed.wire_format.is_bedrock:
            return True
        return self._call.behaviours["metrics"] == "last-chunk" and not usage_follows

    def _tokens(self, number: int, tokens: Tokens | None, *, last: bool) -> Tokens | None:
        """The tokens to send now. In BedrockCompletion they may have to wait for the last chunk."""
        parsed = self._call.parsed
        if tokens is not None:
            tokens = _prepared_answer(tokens, self._call, self._counts[number])
            self._counts[number] += len(tokens)
        if not parsed.wire_format.is_bedrock or self._call.behaviours["stream-logprobs"] == "their-tokens":
            return tokens
        held = self._held[number]
        held += [tokens] if tokens is not None else []
        return concatenate(held) if last else None

    def _finish_bedrock(self, chunk: dict[str, Any], tokens: Tokens | None, *, last: bool) -> None:
        """Apply the switches to a chunk of BedrockCompletion."""
        behaviours = self._call.behaviours
        chunk["generation_token_count"] = sum(self._counts.values())
        if tokens is not None and self._call.parsed.logprobs and behaviours["second-entry"] == "with-most-likely":
            chunk["logprobs"] = with_most_likely(tokens)
        if "prompt_logprobs" in chunk and behaviours["stream-prompt-logprobs"] == "the-last-chunk":
            self._late["prompt_logprobs"] = chunk.pop("prompt_logprobs")
        if last:
            chunk |= self._late
        if not self._call.model.has_logprobs:
            del chunk["logprobs"]

    def _named(self, chunk: dict[str, Any]) -> dict[str, Any]:
        return chunk | {"id": self._id} if "id" in chunk else chunk

    def _metrics(self) -> dict[str, int]:
        now = time.monotonic()
        return {
            "inputTokenCount": self._read,
            "outputTokenCount": sum(self._counts.values()),
            "invocationLatency": round((now - self._began) * 1000),
            "firstByteLatency": round(((self._first or now) - self._began) * 1000),
        }
