"""Parse the body of an InvokeModel call as the service does, and refuse what it refuses, in the same words.

Source of the words: vLLM, whose field names OpenAI's formats use here, and what is known of the service itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lib.core.request import Request
from lib.engines.local.prompts import encode, render
from lib.errors import InvalidRequest, TooLong
from lib.serve.format_selection import RunningModel, body_object, malformed, select_format
from lib.serve.service_errors import Refusal
from lib.wire.formats import Format
from lib.wire.requests import decode_request

_UNSUPPORTED = ("response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar")  # fmt: skip # noqa: E501
_EARLY_FIELDS = {"prompt", "max_gen_len", "temperature", "top_p", "top_k", "stop", "return_logprobs", "stream"}
_DEFAULT_CONTEXT = 4096  # tokens; the longest answer of a chat with a model that sets no limit


@dataclass(frozen=True)
class ParsedRequest:
    """A request, and what its response contains."""

    wire_format: Format
    request: Request
    logprobs: bool = False  # logprobs of the answer
    prompt_logprobs: bool = False
    top: int = 0  # alternatives per token of the answer
    prompt_top: int = 0  # alternatives per token of the prompt
    echo: bool = False  # the prompt in front of the answer
    token_ids: bool = False  # ids in addition to text
    as_ids: bool = False  # `token_id:N` instead of the text of each token
    usage: bool = False  # a final chunk with token counts


def parse_request(data: bytes, running: RunningModel, *, streamed: bool) -> ParsedRequest:
    """Parse a body for a model. Raises Refusal."""
    body = body_object(data)
    wire_format = select_format(body, running)
    for name in _UNSUPPORTED:
        if body.get(name) not in (None, {"type": "text"}):
            raise Refusal("ValidationException", f"{name} is not supported by this local Bedrock.")
    if body.get("tools"):
        raise Refusal("ValidationException", "tools are not supported by this model.")
    parser = _Parser(body, wire_format, running, streamed=streamed)
    if wire_format is Format.EARLY:
        return parser.early()
    return parser.bedrock() if wire_format.is_bedrock else parser.openai()


class _Parser:
    """Parses one body."""

    def __init__(self, body: Mapping[str, Any], wire_format: Format, running: RunningModel, *, streamed: bool) -> None:
        self._body, self._format, self._streamed = body, wire_format, streamed
        self._model, self._engine, self._behaviours = running.model, running.engine, running.behaviours

    def early(self) -> ParsedRequest:
        """Of a model imported before there were three formats."""
        unknown = [name for name in self._body if name not in _EARLY_FIELDS]
        if unknown and self._behaviours["early-fields"] == "rejected":
            raise malformed(f"#: extraneous key [{unknown[0][:80]}] is not permitted")
        wanted = self._flag("return_logprobs")
        if wanted and not self._model.has_logprobs:
            if self._behaviours["legacy-logprobs"] == "rejected":
                raise malformed("#: extraneous key [return_logprobs] is not permitted")
            wanted = False
        known = {name: value for name, value in self._body.items() if name in _EARLY_FIELDS}
        request = self._request({**known, "return_logprobs": wanted})
        return ParsedRequest(Format.EARLY, request, logprobs=wanted, prompt_logprobs=wanted, top=1, prompt_top=1)

    def bedrock(self) -> ParsedRequest:
        """BedrockCompletion: logprobs of the sampled tokens only."""
        request = self._request({**self._body, "n": None, "prompt_logprobs": None})
        return ParsedRequest(
            Format.BEDROCK, request, logprobs=self._flag("return_logprobs") and self._seed_allows(), top=1
        )

    def openai(self) -> ParsedRequest:
        """OpenAICompletion or OpenAIChatCompletion."""
        logprobs, top = self._answer_logprobs()
        prompt_top = self._count("prompt_logprobs", "prompt logprobs")
        if prompt_top == 0 and self._behaviours["prompt-logprobs-0"] == "ignored":
            prompt_top = None
        if prompt_top is not None and prompt_top > 0 and self._streamed:
            raise self._says("`prompt_logprobs` are not available when `stream=True`.")
        echo = self._format is Format.OPENAI and self._passed("echo", "echo")
        if echo and self._streamed:
            raise Refusal("ValidationException", "echo is not supported in streams by this local Bedrock.")
        options = self._body.get("stream_options")
        named = (
            {"logprobs": logprobs, "top_logprobs": top}
            if self._format is Format.CHAT
            else {"logprobs": top if logprobs else None}
        )
        body = {**self._body, **named, "prompt_logprobs": prompt_top, "echo": echo}
        if self._streamed and prompt_top is not None:
            body["prompt_logprobs"] = None
        return ParsedRequest(
            self._format,
            self._request(body, least=0 if echo else 1),
            logprobs=logprobs and self._seed_allows(),
            prompt_logprobs=body["prompt_logprobs"] is not None and self._seed_allows(),
            top=top,
            prompt_top=prompt_top or 0,
            echo=echo,
            token_ids=self._passed("return_token_ids", "token-ids"),
            as_ids=self._passed("return_tokens_as_token_ids", "tokens-as-ids"),
            usage=isinstance(options, dict) and options.get("include_usage") is True,
        )

    def _answer_logprobs(self) -> tuple[bool, int]:
        """(whether logprobs of the answer are requested, alternatives per token)."""
        if self._format is Format.OPENAI:
            top = self._count("logprobs", "sample logprobs", least=0)
            return top is not None, top or 0
        wanted = self._flag("logprobs")
        top = self._count("top_logprobs", "sample logprobs")
        if top and not wanted:
            raise self._says("when using `top_logprobs`, `logprobs` must be set to true.")
        return wanted, (top or 0) if wanted else 0

    def _request(self, body: Mapping[str, Any], *, least: int = 1) -> Request:
        if self._format is Format.CHAT and self._passed("continue_final_message", "continue-final-message"):
            return self._continued(body)
        body = {**body, "prompt": self._prompt(), **self._length(body, least)}
        if self._format is Format.CHAT:
            self._check_turns(body.get("messages"))
        try:
            request = decode_request(body, self._format)
        except InvalidRequest as error:
            empty = "prompt" in error.cause and "empty" in error.cause
            text = "Either prompt or prompt_embeds must be provided and non-empty." if empty else error.cause
            raise self._says(text) from error
        return self._fitting(request)

    def _continued(self, body: Mapping[str, Any]) -> Request:
        """Of a chat whose last message is to be continued: the prompt that the template renders."""
        if self._body.get("add_generation_prompt", True):
            raise self._says("Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
        self._check_turns(body.get("messages"))
        try:
            request = decode_request({**body, **self._length(body, 1)}, Format.CHAT)
            text = render(self._engine.loaded, replace(request, messages=request.messages[:-1])).text
            return self._fitting(replace(request, prompt=text + request.messages[-1].content, messages=()))
        except InvalidRequest as error:
            raise self._says(error.cause) from error

    def _fitting(self, request: Request) -> Request:
        """The request, its answer no longer than the context has room for. Raises Refusal if there is no room."""
        try:
            read = self._engine.prompt_tokens(request)
        except TooLong as error:
            raise self._says(_too_long(error.limit, error.tokens)) from error
        except InvalidRequest as error:
            raise self._says(error.cause) from error
        limit = self._engine.loaded.context
        if limit is None:
            return request
        room = limit - read
        if room < min(request.max_tokens, 1):
            raise self._says(_too_long(limit, read))
        named = self._body.get("max_tokens") is not None or self._body.get("max_completion_tokens") is not None
        if request.max_tokens > room and named and not self._format.is_bedrock:
            raise self._says(
                f"'max_tokens' or 'max_completion_tokens' is too large: {request.max_tokens}. This model's maximum "
                f"context length is {limit} tokens and your request has {read} input tokens "
                f"({request.max_tokens} > {limit} - {read})."
            )
        return replace(request, max_tokens=min(request.max_tokens, room))

    def _prompt(self) -> Any:
        """The prompt as text. A prompt of token ids is read only if the tokenizer turns its text into the same ids."""
        prompt = self._body.get("prompt")
        if not isinstance(prompt, list):
            return prompt
        ids = [number for number in prompt if isinstance(number, int) and not isinstance(number, bool)]
        loaded = self._engine.loaded
        if len(ids) != len(prompt) or not ids or self._behaviours["token-prompts"] == "rejected":
            raise malformed("#/prompt: expected type: String, found: JSONArray")
        if not all(0 <= number < len(loaded.vocabulary) for number in ids):
            raise self._says("Token id is out of vocabulary.")
        text = loaded.vocabulary.decode(np.array(ids, np.int32))
        if encode(loaded, text, templated=False) != ids:
            raise Refusal(
                "ValidationException", "This local Bedrock reads token ids only if its tokenizer gives the same ids."
            )
        return text

    def _length(self, body: Mapping[str, Any], least: int) -> dict[str, Any]:
        """The limits on the answer's length. A chat without one may fill the context."""
        name = "max_gen_len" if self._format.is_bedrock else "max_tokens"
        value = body.get(name)
        if self._format is Format.CHAT and value is None:
            value = body.get("max_completion_tokens")
            if value is None:
                value = self._engine.loaded.context or _DEFAULT_CONTEXT
        value = _whole(value)
        if isinstance(value, int) and value < least:
            raise self._says(f"{name} must be at least 1, got {value}.")
        return {name: value, "max_completion_tokens": None} if value is not None else {}

    def _check_turns(self, turns: Any) -> None:
        for turn in turns if isinstance(turns, list) else ():
            parts = turn.get("content") if isinstance(turn, dict) else None
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, dict) and part.get("type") not in (None, "text"):
                    raise self._says(f"{self._model.name} is not a multimodal model")

    def _count(self, name: str, what: str, *, least: int = -1) -> int | None:
        """The number of alternatives that a field requests; None if it is absent."""
        value = self._body.get(name)
        if value is None:
            return None
        value = _whole(value)
        if not isinstance(value, int):
            raise self._says(f"{name}: Input should be a valid integer")
        if value < least:
            allowed = " or -1" if least < 0 else ""
            raise self._says(f"`{name}` must be a positive value{allowed}.")
        wanted = len(self._engine.loaded.vocabulary) if value == -1 else value
        most = int(self._behaviours["max-logprobs"])
        if wanted > most:
            raise self._says(f"Requested {what} of {wanted}, which is greater than max allowed: {most}")
        return wanted

    def _flag(self, name: str) -> bool:
        value = self._body.get(name)
        if value not in (None, False, True):  # 0 and 1 equal these, and are accepted
            raise self._says(f"{name}: Input should be a valid boolean")
        return bool(value)

    def _passed(self, name: str, switch: str) -> bool:
        """A flag that reaches the model server only if a switch says so."""
        return self._behaviours[switch] == "passed" and self._flag(name)

    def _seed_allows(self) -> bool:
        return self._body.get("seed") is None or self._behaviours["seed"] == "stay"

    def _says(self, text: str) -> Refusal:
        """A refusal in the model server's words."""
        if self._behaviours["error-texts"] == "as-json":
            error = {"message": text, "type": "BadRequestError", "param": None, "code": 400}
            text = json.dumps({"error": error})
        return Refusal("ValidationException", text)


def _whole(value: Any) -> Any:
    """A number as the model server reads it: 2.0 is 2, and true is 1."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


def _too_long(limit: int, tokens: int) -> str:
    return (
        f"This model's maximum context length is {limit} tokens. However, your request has {tokens} input tokens. "
        "Please reduce the length of the input messages."
    )
