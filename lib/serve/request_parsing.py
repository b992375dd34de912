"""What a body of InvokeModel asks for, read as the service reads it; what it would refuse is refused in its words.

Source of the words: vLLM, whose field names the OpenAI formats have, and what is known of the service itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.prompts import encode, render
from lib.errors import InvalidRequest, TooLong
from lib.serve.behaviours import Switches
from lib.serve.models import ImportedModel
from lib.serve.service_errors import Refusal
from lib.wire.formats import Format
from lib.wire.requests import decode_request

_MALFORMED = "Malformed input request: {}, please reformat your input and try again."
_UNABLE = ("response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar")
_EARLY_FIELDS = {"prompt", "max_gen_len", "temperature", "top_p", "top_k", "stop", "return_logprobs", "stream"}
_REQUEST_NAMES = {
    Format.CHAT: "ChatCompletionRequest",
    Format.BEDROCK: "BedrockMetaCompletionRequest",
    Format.OPENAI: "CompletionRequest",
}


@dataclass(frozen=True)
class Ask:
    """A request, and what its response shall hold.

    logprobs, prompt_logprobs: whether they are returned. top, prompt_top: how many per position of the answer and of
    the prompt. echo: the prompt before the answer. token_ids: ids beside the text. as_ids: ids in place of strings.
    usage: a last chunk with the counts.
    """

    form: Format
    request: Request
    logprobs: bool = False
    prompt_logprobs: bool = False
    top: int = 0
    prompt_top: int = 0
    echo: bool = False
    token_ids: bool = False
    as_ids: bool = False
    usage: bool = False


def understand(data: bytes, model: ImportedModel, engine: LocalEngine, switches: Switches, *, streamed: bool) -> Ask:
    """What is asked for. Raises Refusal."""
    body = read_body(data)
    form = select(body, model, engine, switches)
    for name in _UNABLE:
        if body.get(name) not in (None, {"type": "text"}):
            raise Refusal("ValidationException", f"{name} is not supported by this local Bedrock.")
    if body.get("tools"):
        raise Refusal("ValidationException", "tools are not supported by this model.")
    reader = _Reader(body, form, model, engine, switches, streamed=streamed)
    return reader.early() if form is Format.EARLY else reader.bedrock() if form.is_bedrock else reader.openai()


def read_body(data: bytes) -> dict[str, Any]:
    """The body, an object of JSON. Raises Refusal."""
    try:
        body = msgspec.json.decode(data or b"{}")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal("ValidationException", _MALFORMED.format(str(error)[:200])) from error
    if not isinstance(body, dict):
        raise Refusal("ValidationException", _MALFORMED.format("expected type: JSONObject"))
    return body


def formats_of(model: ImportedModel, engine: LocalEngine) -> tuple[Format, ...]:
    """The formats a model answers in; a chat needs the model's own template."""
    if not model.has_three_formats:
        return (Format.EARLY,)
    chat = (Format.CHAT,) if engine.capabilities.chat else ()
    return (*chat, Format.BEDROCK, Format.OPENAI)


def select(body: Mapping[str, Any], model: ImportedModel, engine: LocalEngine, switches: Switches) -> Format:
    """The format that a body selects. Raises Refusal where it selects none that the model has."""
    available = formats_of(model, engine)
    if available == (Format.EARLY,):
        if "prompt" not in body:
            raise Refusal("ValidationException", _MALFORMED.format("#: required key [prompt] not found"))
        return Format.EARLY
    has_messages, has_prompt = "messages" in body, "prompt" in body
    if has_messages and has_prompt:
        if switches["both-inputs"] == "reject":
            raise Refusal("ValidationException", "Only one of messages and prompt may be given.")
        has_messages = switches["both-inputs"] == "chat"
    if has_messages and Format.CHAT in available:
        return Format.CHAT
    if has_messages or not has_prompt:
        names = ", ".join(_REQUEST_NAMES[form] for form in available)
        lead = "Invalid request body." if Format.CHAT in available else "`prompt` must be provided."
        raise Refusal("ValidationException", f"{lead} Available for this model: {names}")
    if "max_tokens" in body and "max_gen_len" in body:
        if switches["both-lengths"] == "reject":
            raise Refusal("ValidationException", "Only one of max_tokens and max_gen_len may be given.")
        return Format.OPENAI if switches["both-lengths"] == "openai" else Format.BEDROCK
    return Format.OPENAI if "max_tokens" in body else Format.BEDROCK


class _Reader:
    """Reads one body."""

    def __init__(
        self,
        body: Mapping[str, Any],
        form: Format,
        model: ImportedModel,
        engine: LocalEngine,
        switches: Switches,
        *,
        streamed: bool,
    ) -> None:
        self._body, self._form, self._model, self._engine = body, form, model, engine
        self._switches, self._streamed = switches, streamed

    def early(self) -> Ask:
        """Of a model from before the three formats."""
        unknown = [name for name in self._body if name not in _EARLY_FIELDS]
        if unknown and self._switches["early-fields"] == "rejected":
            raise Refusal(
                "ValidationException", _MALFORMED.format(f"#: extraneous key [{unknown[0][:80]}] is not permitted")
            )
        wanted = self._flag("return_logprobs")
        if wanted and not self._model.has_logprobs:
            if self._switches["legacy-logprobs"] == "rejected":
                raise Refusal(
                    "ValidationException", _MALFORMED.format("#: extraneous key [return_logprobs] is not permitted")
                )
            wanted = False
        known = {name: value for name, value in self._body.items() if name in _EARLY_FIELDS}
        request = self._request({**known, "return_logprobs": wanted})
        return Ask(Format.EARLY, request, logprobs=wanted, prompt_logprobs=wanted, top=1, prompt_top=1)

    def bedrock(self) -> Ask:
        """BedrockCompletion: the sampled token alone, of the answer alone."""
        request = self._request({**self._body, "n": None, "prompt_logprobs": None})
        return Ask(Format.BEDROCK, request, logprobs=self._flag("return_logprobs") and self._seed_allows(), top=1)

    def openai(self) -> Ask:
        """One of OpenAI's formats."""
        logprobs, top = self._asked()
        own = top if logprobs else None
        prompt_top = self._count("prompt_logprobs", "prompt logprobs")
        if prompt_top == 0 and self._switches["prompt-logprobs-0"] == "ignored":
            prompt_top = None
        if prompt_top is not None and prompt_top > 0 and self._streamed:
            raise self._says("`prompt_logprobs` are not available when `stream=True`.")
        echo = self._form is Format.OPENAI and self._passed("echo", "echo")
        if echo and self._streamed:
            raise Refusal("ValidationException", "echo is not supported in streams by this local Bedrock.")
        options = self._body.get("stream_options")
        named = {"logprobs": logprobs, "top_logprobs": top} if self._form is Format.CHAT else {"logprobs": own}
        body = {**self._body, **named, "prompt_logprobs": prompt_top, "echo": echo}
        if self._streamed and prompt_top is not None:
            body["prompt_logprobs"] = None
        return Ask(
            self._form,
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

    def _asked(self) -> tuple[bool, int]:
        """(whether logprobs of the answer are asked for, how many per position)."""
        if self._form is Format.OPENAI:
            top = self._count("logprobs", "sample logprobs", least=0)
            return top is not None, top or 0
        wanted = self._flag("logprobs")
        top = self._count("top_logprobs", "sample logprobs")
        if top and not wanted:
            raise self._says("when using `top_logprobs`, `logprobs` must be set to true.")
        return wanted, (top or 0) if wanted else 0

    def _request(self, body: Mapping[str, Any], *, least: int = 1) -> Request:
        if self._form is Format.CHAT and self._passed("continue_final_message", "continue-final-message"):
            return self._continued(body)
        body = {**body, "prompt": self._prompt(), **self._length(body, least)}
        if self._form is Format.CHAT:
            self._check_turns(body.get("messages"))
        try:
            request = decode_request(body, self._form)
        except InvalidRequest as error:
            empty = "prompt" in error.cause and "empty" in error.cause
            text = "Either prompt or prompt_embeds must be provided and non-empty." if empty else error.cause
            raise self._says(text) from error
        return self._fitting(request)

    def _continued(self, body: Mapping[str, Any]) -> Request:
        """Of a chat whose last message is to be gone on with: the prompt that it is rendered to."""
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
        """The request with a length that the context has room for. Raises Refusal where it has none."""
        try:
            read = self._engine.prompt_tokens(request)
        except TooLong as error:
            raise self._says(_too_long(error.limit, error.tokens)) from error
        except InvalidRequest as error:
            raise self._says(error.cause) from error
        limit = self._engine.capabilities.context
        if limit is None:
            return request
        room = limit - read
        if room < min(request.max_tokens, 1):
            raise self._says(_too_long(limit, read))
        named = self._body.get("max_tokens") is not None or self._body.get("max_completion_tokens") is not None
        if request.max_tokens > room and named and not self._form.is_bedrock:
            raise self._says(
                f"'max_tokens' or 'max_completion_tokens' is too large: {request.max_tokens}. This model's maximum "
                f"context length is {limit} tokens and your request has {read} input tokens "
                f"({request.max_tokens} > {limit} - {read})."
            )
        return replace(request, max_tokens=min(request.max_tokens, room))

    def _prompt(self) -> Any:
        """The prompt as text. One of token ids is read only if the text they spell would be tokenised to them again."""
        prompt = self._body.get("prompt")
        if not isinstance(prompt, list):
            return prompt
        ids = [number for number in prompt if isinstance(number, int) and not isinstance(number, bool)]
        loaded = self._engine.loaded
        if len(ids) != len(prompt) or not ids or self._switches["token-prompts"] == "rejected":
            raise Refusal("ValidationException", _MALFORMED.format("#/prompt: expected type: String, found: JSONArray"))
        if not all(0 <= number < len(loaded.vocabulary) for number in ids):
            raise self._says("Token id is out of vocabulary.")
        text = loaded.vocabulary.decode(np.array(ids, np.int32))
        if encode(loaded, text, templated=False) != ids:
            raise Refusal(
                "ValidationException", "This local Bedrock reads token ids only where the tokenizer itself gives them."
            )
        return text

    def _length(self, body: Mapping[str, Any], least: int) -> dict[str, Any]:
        """How long the answer may get; a chat that does not say goes on to the end of the context."""
        name = "max_gen_len" if self._form.is_bedrock else "max_tokens"
        value = body.get(name)
        if self._form is Format.CHAT and value is None:
            value = body.get("max_completion_tokens")
            if value is None:
                value = self._engine.capabilities.context or 4096
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
        """How many alternatives a field asks for; None where it does not ask."""
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
        most = int(self._switches["max-logprobs"])
        if wanted > most:
            raise self._says(f"Requested {what} of {wanted}, which is greater than max allowed: {most}")
        return wanted

    def _flag(self, name: str) -> bool:
        value = self._body.get(name)
        if value not in (None, False, True):  # 0 and 1 are equal to these, and taken for them
            raise self._says(f"{name}: Input should be a valid boolean")
        return bool(value)

    def _passed(self, name: str, switch: str) -> bool:
        """A flag that may or may not reach the model server."""
        return self._switches[switch] == "passed" and self._flag(name)

    def _seed_allows(self) -> bool:
        return self._body.get("seed") is None or self._switches["seed"] == "stay"

    def _says(self, text: str) -> Refusal:
        """A refusal in the words of the model server."""
        if self._switches["error-texts"] == "as-json":
            error = {"message": text, "type": "BadRequestError", "param": None, "code": 400}
            text = json.dumps({"error": error})
        return Refusal("ValidationException", text)


def _whole(value: Any) -> Any:
    """A number as the model server takes it: 2.0 for 2, and true for 1."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


def _too_long(limit: int, tokens: int) -> str:
    return (
        f"This model's maximum context length is {limit} tokens. However, your request has {tokens} input tokens. "
        "Please reduce the length of the input messages."
    )
