"""Completions as the bodies that the service sends: whole, or as the chunks of a stream."""

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
from lib.serve.behaviours import Switches
from lib.serve.faults import Fault
from lib.serve.models import ImportedModel
from lib.serve.mutations import altered, cut_to, without_score
from lib.serve.request_parsing import Ask
from lib.wire.encode import ChunkWriter, answer_logprobs, by_id, encode, usage
from lib.wire.encode_positions import sent_prompt
from lib.wire.formats import Format

METRICS = "amazon-bedrock-invocationMetrics"
DONE = b"[DONE]"


@dataclass(frozen=True)
class Setting:
    """Everything but the completion that decides what its response looks like."""

    ask: Ask
    model: ImportedModel
    switches: Switches
    faults: Mapping[str, Fault]

    @property
    def served_name(self) -> str:
        """How OpenAI's formats name the model."""
        return f"{self.model.account}-{self.model.id}"


def written(response: Mapping[str, Any]) -> bytes:
    """A response or a chunk as JSON."""
    return json.dumps(response, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def whole(samples: Sequence[Completion], setting: Setting) -> dict[str, Any]:
    """The response to InvokeModel."""
    ask = setting.ask
    group = [_prepared(done, setting) for done in samples]
    response = encode(
        group,
        ask.form,
        top=ask.top,
        logprobs=ask.logprobs,
        prompt_logprobs=ask.prompt_logprobs,
        token_ids=ask.token_ids,
    )
    if ask.form.is_bedrock:
        if ask.logprobs and setting.switches["second-entry"] == "with-likeliest":
            response["logprobs"] = with_likeliest(group[0].generated)
        if ask.form is Format.BEDROCK and setting.switches["bedrock-prompt-logprobs"] == "null":
            response["prompt_logprobs"] = None
        if not setting.model.has_logprobs:
            del response["logprobs"]
    else:
        response["id"] = new_id(ask.form)
        for choice, done in zip(response["choices"], group, strict=True) if ask.echo else ():
            choice["text"] = (ask.request.prompt or "") + done.text
            if ask.logprobs:
                both = concatenate([cut_to(done.prompt, ask.top), done.generated])
                choice["logprobs"] = answer_logprobs(both, ask.form, ask.top)
    return altered(response, setting.faults)


def new_id(form: Format) -> str:
    """An id as OpenAI's formats have it."""
    return f"{'chatcmpl' if form is Format.CHAT else 'cmpl'}-{secrets.token_hex(16)}"


def with_likeliest(tokens: Tokens) -> list[dict[str, float | None] | None]:
    """BedrockCompletion's positions of an answer, each with the likeliest token where another was sampled."""
    return by_id(sent_prompt(tokens, Format.EARLY))


def _prepared(done: Completion, setting: Setting) -> Completion:
    """The completion with what was asked for, and no more."""
    ask = setting.ask
    prompt = cut_to(done.prompt, max(ask.prompt_top, ask.top if ask.echo else 0))
    if ask.as_ids:
        prompt = named_by_id(prompt)
    generated = _answered(done.generated, setting)
    return replace(done, prompt=prompt, generated=generated, model=setting.served_name)


def _answered(tokens: Tokens, setting: Setting, seen: int = 0) -> Tokens:
    """Tokens of the answer with what was asked for. seen: how many came before these."""
    tokens = cut_to(tokens, setting.ask.top)
    if (fault := setting.faults.get("absent")) is not None:
        tokens = without_score(tokens, fault.position - seen)
    return named_by_id(tokens) if setting.ask.as_ids else tokens


def named_by_id(tokens: Tokens) -> Tokens:
    """The tokens, each with `token_id:N` for its text."""
    small = on_one_table([tokens])[0]
    ids = small.pieces.ids.tolist()
    named = make_pieces([(number, f"token_id:{number}".encode(), False) for number in ids])
    return replace(small, pieces=named)


class Chunks:
    """Writes the chunks of a stream from deltas."""

    def __init__(self, setting: Setting, began: float) -> None:
        """began: `time.monotonic()` when the call came."""
        self._setting, self._began = setting, began
        self._id = new_id(setting.ask.form)
        self._writers: dict[int, ChunkWriter] = {}
        self._held: dict[int, list[Tokens]] = {}
        self._counts: dict[int, int] = {}
        self._read = 0
        self._running = setting.ask.request.n
        self._first: float | None = None
        self._late: dict[str, Any] = {}  # what the last chunk brings along

    def of(self, deltas: Sequence[Delta]) -> Iterator[bytes]:
        """The chunks that these deltas make."""
        for delta in deltas:
            for chunk in self._of(delta):
                self._first = self._first or time.monotonic()
                yield written(altered(chunk, self._setting.faults))
        if not self._running:
            ask = self._setting.ask
            if not ask.form.is_bedrock and self._setting.switches["metrics"] == "own-chunk":
                yield written({METRICS: self._metrics()})
            if not ask.form.is_bedrock and self._setting.switches["done-marker"] == "present":
                yield DONE

    def _of(self, delta: Delta) -> Iterator[dict[str, Any]]:
        ask, number = self._setting.ask, delta.sample
        if delta.start is not None:
            start = _prepared(delta.start, self._setting)
            self._read = len(start.prompt)
            writer = ChunkWriter(start, ask.form, top=ask.top, logprobs=ask.logprobs, index=number)
            self._writers[number], self._held[number], self._counts[number] = writer, [], 0
            yield from map(self._named, writer.opening())
        if delta.generated is None and not delta.text and delta.end is None:
            return
        last = delta.end is not None
        tokens = self._tokens(number, delta.generated, last=last)
        reason = None if delta.end is None else delta.end.stop_reason
        chunk = self._named(self._writers[number].chunk(tokens, delta.text, reason))
        if ask.form.is_bedrock:
            self._finish_bedrock(chunk, tokens, last=last)
        self._running -= last
        ends = last and not self._running
        if ends and (ask.form.is_bedrock or (self._setting.switches["metrics"] == "last-chunk" and not ask.usage)):
            chunk[METRICS] = self._metrics()
        yield chunk
        if ends and ask.usage:
            counted = self._named(self._writers[number].chunk(None, ""))
            counted |= {"choices": [], "usage": usage(self._read, sum(self._counts.values()))}
            if self._setting.switches["metrics"] == "last-chunk":
                counted[METRICS] = self._metrics()
            yield counted

    def _tokens(self, number: int, tokens: Tokens | None, *, last: bool) -> Tokens | None:
        """The tokens to send now."""
        ask = self._setting.ask
        if tokens is not None:
            tokens = _answered(tokens, self._setting, self._counts[number])
            self._counts[number] += len(tokens)
        if not ask.form.is_bedrock or self._setting.switches["stream-logprobs"] == "their-tokens":
            return tokens
        held = self._held[number]
        held += [tokens] if tokens is not None else []
        return concatenate(held) if last else None

    def _finish_bedrock(self, chunk: dict[str, Any], tokens: Tokens | None, *, last: bool) -> None:
        """What the switches change about a chunk of BedrockCompletion."""
        switches = self._setting.switches
        chunk["generation_token_count"] = sum(self._counts.values())
        if tokens is not None and self._setting.ask.logprobs and switches["second-entry"] == "with-likeliest":
            chunk["logprobs"] = with_likeliest(tokens)
        if "prompt_logprobs" in chunk and switches["stream-prompt-logprobs"] == "the-last-chunk":
            self._late["prompt_logprobs"] = chunk.pop("prompt_logprobs")
        if last:
            chunk |= self._late
        if not self._setting.model.has_logprobs:
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
