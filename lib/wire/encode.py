"""Encode completions as the response a service would have sent, whole or as the chunks of a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lib.core.completion import Completion
from lib.core.tokens import Tokens
from lib.wire.encode_positions import sent_answer, sent_prompt
from lib.wire.formats import Format, asked_top
from lib.wire.positions import ABSENT, Positions

_REASONS = ("stop", "length")


def encode(
    completions: Sequence[Completion] | Completion,
    wire_format: Format,
    *,
    top: int | None = None,
    logprobs: bool = True,
    prompt_logprobs: bool = True,
    token_ids: bool = False,
) -> dict[str, Any]:
    """The response, as a dictionary to write as JSON. Several samples of one request become several choices.

    top: the number of top logprobs requested for the answer; by default what `encode_request` requests.
    logprobs, prompt_logprobs: whether they were requested.
    token_ids: whether to include the ids of the chosen tokens, as some services do.
    """
    group = [completions] if isinstance(completions, Completion) else list(completions)
    first = group[0]
    if top is None:
        top = asked_top(wire_format, first.request.k if first.request is not None else first.generated.k)
    if wire_format.is_bedrock:
        return _bedrock(first, wire_format, logprobs, prompt_logprobs)
    return _openai(group, wire_format, top, logprobs, prompt_logprobs, token_ids)


def without_nulls(value: Any) -> Any:
    """The same without keys whose value is null, as in AWS's documentation. Nulls in lists have a meaning and stay."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def _bedrock(done: Completion, wire_format: Format, logprobs: bool, prompt_logprobs: bool) -> dict[str, Any]:
    response: dict[str, Any] = {
        "generation": done.text,
        "prompt_token_count": len(done.prompt),
        "generation_token_count": len(done.generated),
        "stop_reason": _reason(done.stop_reason),
        "logprobs": by_id(sent_answer(done.generated, wire_format, 1)) if logprobs else None,
    }
    if wire_format is Format.EARLY and prompt_logprobs:
        response["prompt_logprobs"] = by_id(sent_prompt(done.prompt, wire_format))
    return response


def _openai(
    group: Sequence[Completion], wire_format: Format, top: int, logprobs: bool, prompt_logprobs: bool, token_ids: bool
) -> dict[str, Any]:
    first = group[0]
    chat = wire_format is Format.CHAT
    prompt = described(sent_prompt(first.prompt, wire_format)) if prompt_logprobs else None
    prompt_ids = first.prompt.ids.tolist() if token_ids else None
    choices = []
    for number, done in enumerate(group):
        choice: dict[str, Any] = {"index": number, **_text_of(done, chat)}
        choice["logprobs"] = answer_logprobs(done.generated, wire_format, top) if logprobs else None
        choice["finish_reason"] = _reason(done.stop_reason)
        choice["stop_reason"] = None
        choice["token_ids"] = done.generated.ids.tolist() if token_ids else None
        if not chat:
            choice["prompt_logprobs"] = prompt
            choice["prompt_token_ids"] = prompt_ids
        choices.append(choice)
    generated = sum(len(done.generated) for done in group)
    response: dict[str, Any] = {
        "id": "chatcmpl-candor" if chat else "cmpl-candor",
        "object": "chat.completion" if chat else "text_completion",
        "created": int(time.time()),
        "model": first.model,
        "choices": choices,
        "service_tier": None,
        "system_fingerprint": None,
        "usage": usage(len(first.prompt), generated),
    }
    if chat:
        response |= {"prompt_logprobs": prompt, "prompt_token_ids": prompt_ids}
    return response | {"kv_transfer_params": None}


def _text_of(done: Completion, chat: bool) -> dict[str, Any]:
    if not chat:
        return {"text": done.text}
    return {
        "message": {
            "role": "assistant", "content": done.text, "refusal": None, "annotations": None, "audio": None,
            "function_call": None, "tool_calls": [], "reasoning_content": None,
        }
    }  # fmt: skip


def usage(prompt: int, generated: int) -> dict[str, Any]:
    """The usage field of OpenAI's formats, from the number of prompt tokens and of generated tokens."""
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + generated,
        "completion_tokens": generated,
        "prompt_tokens_details": None,
    }


def answer_logprobs(tokens: Tokens, wire_format: Format, top: int, offset: int = 0) -> dict[str, Any]:
    """The logprobs of a choice. An unscored token, such as the first of an echoed prompt, has nulls.

    offset: characters in the tokens of earlier chunks.
    """
    found = sent_answer(tokens, wire_format, top)
    names = [blob.decode() for blob in found.literals or ()]
    scores = [_score(value) for value in found.logprobs.tolist()]
    rows = [found.row(position) for position in range(len(found))]
    if wire_format is Format.CHAT:
        content = []
        for row in rows:
            entries = [{"token": names[i], "logprob": scores[i], "bytes": list(names[i].encode())} for i in row]
            content.append(entries[0] | {"top_logprobs": entries if top else []})
        return {"content": content}
    starts = np.cumsum([offset, *(len(names[row[0]]) for row in rows)])[:-1]
    return {
        "text_offset": starts.tolist(),
        "token_logprobs": [scores[row[0]] for row in rows],
        "tokens": [names[row[0]] for row in rows],
        "top_logprobs": [None if scores[row[0]] is None else _by_name(row, names, scores) for row in rows],
    }


def _by_name(row: range, names: list[str], scores: list[float | None]) -> dict[str, float | None]:
    """Logprobs by string. Of equal strings the last one counts, as in a dictionary that a service fills in order."""
    listed: dict[str, float | None] = {}
    for i in row:
        listed[names[i]] = scores[i]
    return listed


def by_id(found: Positions) -> list[dict[str, float | None] | None]:
    """Positions as BedrockCompletion sends them: bare logprobs by id."""
    ids, scores = found.ids.tolist(), [_score(value) for value in found.logprobs.tolist()]
    return [{str(ids[i]): scores[i] for i in found.row(position)} or None for position in range(len(found))]


def described(found: Positions) -> list[dict[str, dict[str, Any]] | None]:
    """Positions as OpenAI's formats send the prompt's: logprob, rank and string by id."""
    ids, ranks = found.ids.tolist(), found.ranks.tolist()
    scores = [_score(value) for value in found.logprobs.tolist()]
    names = [blob.decode() for blob in found.literals or ()]
    return [
        {
            str(ids[i]): {
                "logprob": scores[i],
                "rank": ranks[i] if ranks[i] > 0 else None,
                "decoded_token": names[i],
            }
            for i in found.row(position)
        }
        or None
        for position in range(len(found))
    ]


def _score(value: float) -> float | None:
    if value != value:
        return None
    return ABSENT if value == -np.inf else value


def _reason(stop_reason: str | None) -> str | None:
    return stop_reason if stop_reason in _REASONS else None


class ChunkWriter:
    """Encodes the stream of one sample, chunk by chunk, as dictionaries to write as JSON.

    A chunk may have any number of tokens. Its text may belong to other tokens, because a service holds text back while
    it may be the beginning of a stop string.
    """

    def __init__(
        self, done: Completion, wire_format: Format, *, top: int = 0, logprobs: bool = True, index: int = 0
    ) -> None:
        """Encode a sample.

        done: the sample; its answer is passed to `chunk`.
        top, logprobs: as in `encode`.
        index: the sample's number among several.
        """
        self._wire_format, self._top, self._logprobs, self._start, self._index = wire_format, top, logprobs, done, index
        self._count = self._offset = 0
        self._first = True

    def opening(self) -> Iterator[dict[str, Any]]:
        """The chunk before any token: in a chat, the role."""
        if self._wire_format is Format.CHAT:
            yield self._chunk({"delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None})

    def chunk(self, tokens: Tokens | None, text: str, reason: str | None = None) -> dict[str, Any]:
        """New tokens and new text; `reason` with the last chunk."""
        self._count += 0 if tokens is None else len(tokens)
        if self._wire_format.is_bedrock:
            return self._bedrock(tokens, text, reason)
        logprobs = None
        if self._logprobs and tokens is not None and len(tokens):
            logprobs = answer_logprobs(tokens, self._wire_format, self._top, self._offset)
            names = logprobs["tokens"] if self._wire_format is Format.OPENAI else []
            self._offset += sum(map(len, names))
        own: dict[str, Any] = {"delta": {"content": text}} if self._wire_format is Format.CHAT else {"text": text}
        return self._chunk(
            own | {"logprobs": logprobs, "finish_reason": _reason(reason), "stop_reason": None, "token_ids": None}
        )

    def _bedrock(self, tokens: Tokens | None, text: str, reason: str | None) -> dict[str, Any]:
        logprobs = None
        if self._logprobs and tokens is not None:
            logprobs = by_id(sent_answer(tokens, self._wire_format, 1))
        chunk: dict[str, Any] = {
            "generation": text,
            "prompt_token_count": len(self._start.prompt) if self._first else None,
            "generation_token_count": self._count,
            "stop_reason": _reason(reason),
            "logprobs": logprobs,
        }
        if self._first and self._wire_format is Format.EARLY and self._logprobs:
            chunk["prompt_logprobs"] = by_id(sent_prompt(self._start.prompt, self._wire_format))
        self._first = False
        return chunk

    def _chunk(self, choice: dict[str, Any]) -> dict[str, Any]:
        chat = self._wire_format is Format.CHAT
        return {
            "id": "chatcmpl-candor" if chat else "cmpl-candor",
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": int(time.time()),
            "model": self._start.model,
            "choices": [{"index": self._index, **choice}],
        } | ({} if chat else {"usage": None})
