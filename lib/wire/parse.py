"""Responses as they come, in any of the formats, as columns. Nothing is interpreted here yet.

The text of a response is cut into its positions without building objects for the whole of it: a response of 20 MB takes
little more memory than its columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from lib.core.pieces import Ints, offsets_of
from lib.errors import BadResponse
from lib.segmentation.char_classes import encodable
from lib.wire.chosen_token import by_ids
from lib.wire.formats import Format
from lib.wire.positions import ABSENT, UNDECIDED, Positions

MAX_BYTES = 100_000_000  # four times what InvokeModel may return
_ROUNDING = 0.01  # nats above 0 that half precision may explain
_MOST_ID = 2**31 - 1
_MOST_ENTRIES = 1_000  # of a position
_MOST_POSITIONS = 1_000_000  # a response of 25 MB has room for half of that
_MOST_ANSWERS = 1_000
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()

# A token's string or bytes, its logprob, and its id or -1.
_Entry = tuple[str | bytes | None, float | None, int]
BROKEN = (msgspec.DecodeError, UnicodeDecodeError)  # what reading bytes that are no JSON raises
Fields = Mapping[str, msgspec.Raw]


class _Score(msgspec.Struct, gc=False):
    """An entry of a position; the string sent with it is not even read."""

    logprob: float | None = None
    rank: int | None = None


class _Named(msgspec.Struct, gc=False):
    """The same with its string."""

    logprob: float | None = None
    rank: int | None = None
    decoded_token: str | None = None


class _Spelled(msgspec.Struct, gc=False):
    """An entry of a chat response.

    id, prob, top_probs: as llama.cpp sends them. top_logprobs: some servers key them by string.
    """

    id: int | str | None = None
    token: str | None = None
    logprob: float | None = None
    bytes: list[int] | None = None
    top_logprobs: list[_Spelled] | dict[str, float | None] | None = None
    prob: float | None = None
    top_probs: list[_Spelled] | None = None


class _Top(
    msgspec.Struct,
    rename={"metrics": "amazon-bedrock-invocationMetrics", "guardrail": "amazon-bedrock-guardrailAction"},
):
    """The top of a response in one of OpenAI's formats."""

    choices: list[dict[str, msgspec.Raw]] | None = None
    object: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    created: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    model: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    usage: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    prompt_logprobs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    prompt_token_ids: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    metrics: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    guardrail: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Spelling(msgspec.Struct, gc=False):
    """The logprobs of an answer, whole or a chunk of it: the lists of OpenAICompletion, or a chat's `content`.

    Some servers send the one form where the other belongs.
    """

    tokens: list[str | int | None] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float | _Score | None] | None] | None = None
    token_ids: list[int] | None = None
    text_offset: list[int] | None = None
    reasoning_content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    refusal: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_TOP = msgspec.json.Decoder(_Top)
_TOP_FIELDS = tuple(name for name in _Top.__struct_fields__ if name != "choices")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_SCORES = msgspec.json.Decoder(dict[int, _Score | float | None] | None)
_NAMED_SCORES = msgspec.json.Decoder(dict[int, _Named | float | None] | None)
_ALL_SCORES = msgspec.json.Decoder(list[dict[int, _Score | float | None] | None])
_ALL_NAMED_SCORES = msgspec.json.Decoder(list[dict[int, _Named | float | None] | None])
_AT_ONCE = 4_000_000  # bytes of JSON
_LARGE, _LEAST_ENTRY = 2_000_000, 12  # bytes
_LOGPROB, _RANK = attrgetter("logprob"), attrgetter("rank")
_SPELLING = msgspec.json.Decoder(_Spelling)
_CHAT = msgspec.json.Decoder(list[_Spelled] | None)


@dataclass(frozen=True, eq=False)
class Answer:
    """One of the answers in a response, or what a chunk of a stream adds to it.

    text: of the answer. reasoning: where the service splits it off. tools: whether tokens outside the text are tool
    calls. stop_reason: "stop", "length", another word of the service, or None. chosen ids: `ids` where the service
    sends them.
    """

    number: int
    text: str
    generated: Positions | None
    stop_reason: str | None
    reasoning: str = ""
    tools: bool = False
    ids: tuple[int, ...] | None = None
    prompt: Positions | None = None
    prompt_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Response:
    """A response, or a chunk of a streamed one.

    prompt_tokens, generated_tokens: as the service counts them. created: seconds since 1970, None where not sent.
    final: whether it says that the stream is over. guarded: whether a guardrail changed the text.
    """

    wire_format: Format
    answers: tuple[Answer, ...]
    model: str = ""
    prompt_tokens: int | None = None
    generated_tokens: int | None = None
    created: int | None = None
    final: bool = False
    guarded: bool = False


def parse(data: bytes, *, names: bool = True) -> Response:
    """The response in these bytes. names: whether strings sent beside ids are wanted.

    JSON that only Python writes (NaN, -Infinity) is read as well. Raises BadResponse.
    """
    check_size(len(data))
    try:
        return _parse(data, names)
    except BROKEN as error:
        try:
            return _parse(standard(data), names)
        except (*BROKEN, RecursionError) as again:
            raise _unlike(again) from error
    except RecursionError as error:
        raise _too_deep() from error


def check_size(size: int) -> None:
    """Raise BadResponse for more bytes than any response has."""
    if size > MAX_BYTES:
        raise BadResponse(
            f"This has {size / 1e6:,.0f} MB; a response of Bedrock has at most 25 MB.",
            "Open the response itself, or cut a long list of responses into several files.",
        )


def standard(data: bytes) -> bytes:
    """The same JSON without Python's constants and lone surrogates. Raises BadResponse when it is no JSON."""

    def constant(name: str) -> float | None:
        if name == "Infinity":
            raise BadResponse("The response holds Infinity where a logprob should be.", "Save the response again.")
        return ABSENT if name == "-Infinity" else None

    try:
        text = data.decode("utf-8", "surrogatepass")
        return encodable(json.dumps(json.loads(text, parse_constant=constant), ensure_ascii=False)).encode()
    except RecursionError as deep:
        raise _too_deep() from deep
    except UnicodeDecodeError as error:
        raise BadResponse(f"The text is not UTF-8 (byte {error.start + 1:,}).", "Save it again as UTF-8.") from error
    except ValueError as broken:
        ends = isinstance(broken, json.JSONDecodeError) and broken.pos >= len(text.rstrip())
        cut = ends or str(broken).startswith("Unterminated string")
        raise BadResponse(
            "This JSON ends too early." if cut and text.lstrip().startswith(("{", "[")) else "This is not JSON.",
            "Paste the whole response, from its first { to its last }, as Bedrock sent it.",
        ) from broken


def _too_deep() -> BadResponse:
    return BadResponse(
        "This JSON is nested too deeply for a response.", "Open the response itself, as Bedrock sent it."
    )


def _unlike(error: Exception) -> BadResponse:
    detail = str(error).split("\n")[0][:200]
    return BadResponse(
        f"The response is not spelled as Bedrock spells it: {detail}", "Open the response itself, unchanged."
    )


def _parse(data: bytes, names: bool) -> Response:
    found = _openai_fields(data)
    if found is not None:
        return _openai(*found, names)
    fields = _object(data)
    if "outputs" in fields and "generation" not in fields and (offline := _offline(fields, names)) is not None:
        return offline
    if "generation" in fields or "outputs" in fields or "generation_token_count" in fields:
        return _bedrock(fields, names)
    if "amazon-bedrock-invocationMetrics" in fields:
        return Response(Format.BEDROCK, (), final=True)
    if "message" in fields or "error" in fields:
        raise BadResponse(
            f"This is an error, not a response: {error_text(fields)}", "Open a response that has an answer."
        )
    raise BadResponse(
        "This is JSON, but no response of Custom Model Import.",
        'A response has "generation" or "choices" at its top. Paste it as Bedrock sent it, or with its request as '
        '{"request": …, "response": …}.',
    )


def _object(data: bytes | msgspec.Raw) -> Fields:
    try:
        return _FIELDS.decode(data)
    except msgspec.ValidationError as error:
        raise BadResponse(
            "This is JSON, but not an object: a response begins with {.", "Open a single response."
        ) from error


def error_text(fields: Fields) -> str:
    """What an error says, in any of the spellings that services and SDKs use; its code where it says nothing else."""
    for name in ("message", "errorMessage", "error", "Error", "Message", "errorCode"):
        value = _any(fields, name)
        if isinstance(value, dict):
            names = ("message", "errorMessage", "Message", "errorCode", "Code", "code", "type")
            value = next((value[key] for key in names if value.get(key)), None)
        if value:
            return str(value)[:300]
    return "it does not say which."


def _any(fields: Fields, name: str) -> Any:
    """The value of a field, whatever it is; None where it is absent or cannot be read."""
    try:
        return msgspec.json.decode(fields[name]) if name in fields else None
    except BROKEN:
        return None


def _bedrock(fields: Fields, names: bool) -> Response:
    text = _read(fields, "generation", str | None, None)
    stop = _word(fields, "stop_reason")
    if text is None and "outputs" in fields:
        outputs = _read(fields, "outputs", list[dict[str, Any]], [])
        first = outputs[0] if outputs else {}
        text, stop = _text_or_none(first.get("text")), _text_or_none(first.get("stop_reason")) or stop
    prompt = _scored(fields, "prompt_logprobs", names)
    answer = Answer(0, text or "", _scored(fields, "logprobs", names), stop, prompt=prompt)
    return Response(
        Format.BEDROCK if prompt is None else Format.EARLY,
        (answer,),
        prompt_tokens=_count(_any(fields, "prompt_token_count")),
        generated_tokens=_count(_any(fields, "generation_token_count")),
        final=stop is not None or "amazon-bedrock-invocationMetrics" in fields,
        guarded=_intervened(fields, "amazon-bedrock-guardrailAction"),
    )


def _offline(fields: Fields, names: bool) -> Response | None:
    """What vLLM's own `generate` returns, as JSON: answers by id, with their tokens. None for another's outputs."""
    outputs = _any_list(fields["outputs"])
    if not outputs or not all("token_ids" in each and "logprobs" in each for each in outputs):
        return None
    prompt = _scored(fields, "prompt_logprobs", names)
    answers = []
    for place, output in enumerate(outputs):
        ids, found = _ids(output, "token_ids"), _scored(output, "logprobs", names)
        if found is not None and ids is not None and (chosen := by_ids(found, ids)) is not None and (chosen >= 0).all():
            found = replace(found, chosen=chosen)
        answers.append(
            Answer(
                place,
                _read(output, "text", str | None, None) or "",
                found,
                _word(output, "finish_reason"),
                ids=ids,
                prompt=prompt,
                prompt_ids=_ids(fields, "prompt_token_ids"),
            )
        )
    return Response(Format.OPENAI, tuple(answers), final=True)


def _any_list(raw: msgspec.Raw) -> list[Fields]:
    try:
        return list(msgspec.json.decode(raw, type=list[dict[str, msgspec.Raw]]))
    except BROKEN:
        return []


def _intervened(fields: Fields, name: str) -> bool:
    return str(_any(fields, name) or "").upper() not in ("", "NONE")


def _openai_fields(data: bytes) -> tuple[Fields, list[dict[str, msgspec.Raw]]] | None:
    """The fields of a response in one of OpenAI's formats and its choices, in one pass; None where it is none."""
    try:
        top = _TOP.decode(data)
    except msgspec.ValidationError:
        if "choices" in _object(data):
            raise
        return None
    if top.choices is None:
        return None
    named = {name: getattr(top, name) for name in _TOP_FIELDS}
    return {name: raw for name, raw in named.items() if raw is not msgspec.UNSET}, top.choices


def _openai(fields: Fields, choices: list[dict[str, msgspec.Raw]], names: bool) -> Response:
    if len(choices) > _MOST_ANSWERS:
        raise BadResponse(
            f"The response has {len(choices):,} answers; at most {_MOST_ANSWERS:,} are opened.", "Cut it up."
        )
    stated = _any(fields, "usage")
    usage = stated if isinstance(stated, dict) else {}
    kind = _read(fields, "object", str | None, None) or ""
    chat = kind.startswith("chat") or any("message" in choice or "delta" in choice for choice in choices)
    shared = _scored(fields, "prompt_logprobs", names)
    shared_ids = _ids(fields, "prompt_token_ids")
    answers = []
    for place, choice in enumerate(choices):
        prompt = _scored(choice, "prompt_logprobs", names)
        own_ids = _ids(choice, "prompt_token_ids")
        answers.append(
            (_chat_answer if chat else _completion_answer)(
                choice,
                number=_index(choice) if "index" in choice else place,
                prompt=shared if prompt is None else prompt,
                prompt_ids=shared_ids if own_ids is None else own_ids,
            )
        )
    return Response(
        Format.CHAT if chat else Format.OPENAI,
        tuple(answers),
        model=_read(fields, "model", str | None, None) or "",
        prompt_tokens=_count(usage.get("prompt_tokens")),
        generated_tokens=_count(usage.get("completion_tokens")),
        created=_count(_any(fields, "created")),
        final=any(answer.stop_reason is not None for answer in answers) or "metrics" in fields,
        guarded=_intervened(fields, "guardrail"),
    )


def _index(choice: Fields) -> int:
    stated = _any(choice, "index")
    number = int(stated) if isinstance(stated, int) or (isinstance(stated, str) and stated.isdecimal()) else 0
    if not 0 <= number < _MOST_ANSWERS:
        raise BadResponse(f"The response numbers an answer {number}.", "Save the response again.")
    return number


def _completion_answer(
    choice: Fields, *, number: int, prompt: Positions | None, prompt_ids: tuple[int, ...] | None
) -> Answer:
    text = _read(choice, "text", str | None, None) or ""
    found, ids = _listed(choice.get("logprobs"), text)
    return Answer(
        number,
        text,
        found,
        _word(choice, "finish_reason"),
        ids=_ids(choice, "token_ids") or ids,
        prompt=prompt,
        prompt_ids=prompt_ids,
    )


def _chat_answer(
    choice: Fields, *, number: int, prompt: Positions | None, prompt_ids: tuple[int, ...] | None
) -> Answer:
    message: Mapping[str, Any] = (
        _read(choice, "message" if "message" in choice else "delta", dict[str, Any] | None, None) or {}
    )
    logprobs = choice.get("logprobs")
    if logprobs is None and message.get("logprobs") is not None:
        logprobs = msgspec.Raw(msgspec.json.encode(message["logprobs"]))
    text = _text_in(message.get("content")) or _text_or_none(message.get("refusal")) or ""
    found, ids = _listed(logprobs, text)
    return Answer(
        number,
        text,
        found,
        _word(choice, "finish_reason"),
        reasoning=_reasoning_in(message),
        tools=bool(message.get("tool_calls") or message.get("function_call")),
        ids=_ids(choice, "token_ids") or ids,
        prompt=prompt,
        prompt_ids=prompt_ids,
    )


def _text_in(content: Any) -> str:
    """The text of a chat's content, which may be in parts; those of the model's thinking are none of it."""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "".join(text for text in texts if isinstance(text, str))


def _reasoning_in(message: Mapping[str, Any]) -> str:
    """What a service has split off as reasoning, by any of the names that services have for it."""
    for name in ("reasoning_content", "reasoning", "thinking"):
        if text := _text_or_none(message.get(name)):
            return text
    content = message.get("content")
    thoughts = [part.get("thinking") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    for name in ("reasoning_details", "thinking_blocks"):
        listed = message.get(name)
        parts = [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []
        thoughts += [part.get("text") or part.get("thinking") for part in parts]
    return "".join(_text_in(thought) for thought in thoughts if thought is not None)


def _listed(logprobs: msgspec.Raw | None, text: str) -> tuple[Positions | None, tuple[int, ...] | None]:
    """The logprobs of an answer in either of OpenAI's forms, and its ids; None where there are none.

    A bare list is a chat's. text: of the answer, from which tokens are cut where only their offsets are sent.
    """
    if logprobs is None or _is_null(logprobs):
        return None, None
    _check_density(logprobs)
    if bytes(memoryview(logprobs)[:1]) == b"[":
        return _spelled_chat(_CHAT.decode(logprobs) or []), None
    spelling = _SPELLING.decode(logprobs)
    ids = tuple(spelling.token_ids) if spelling.token_ids else None
    parts = [spelling.reasoning_content, spelling.content, spelling.refusal]
    chats = [part for part in parts if part is not msgspec.UNSET and not _is_null(part)]
    if chats:
        return _spelled_chat(entry for part in chats for entry in _CHAT.decode(part) or ()), ids
    if spelling.tokens is None and spelling.text_offset and spelling.token_logprobs:
        ends = [*spelling.text_offset[1:], len(text)]
        spelling.tokens = [text[start:end] for start, end in zip(spelling.text_offset, ends, strict=True)]
    if spelling.tokens is None and spelling.token_logprobs is None and spelling.top_logprobs is None:
        return None, ids
    return _spelled_out(spelling), ids


def _check_density(raw: msgspec.Raw) -> None:
    """Raise BadResponse for more entries than any response has room for, before they are built."""
    data = memoryview(raw)
    if len(data) < _LARGE:
        return
    count = bytes(data).count(b"{")
    if count > _MOST_POSITIONS and count * _LEAST_ENTRY > len(data):
        raise BadResponse(f"The response lists {count:,} entries without content.", "Open the response itself.")


def _is_null(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:4]) == b"null"


def _scored(fields: Fields, name: str, names: bool) -> Positions | None:
    """A list of positions keyed by id, its entries objects or bare numbers. None where it is absent or null."""
    raw = fields.get(name)
    if raw is None or _is_null(raw):
        return None
    _check_density(raw)
    counts: list[int] = []
    ids: list[int] = []
    logprobs: list[float | None] = []
    ranks: list[int | None] = []
    literals: list[bytes] = []
    for row in _rows(raw, names):
        if row is None:
            counts.append(0)
            continue
        counts.append(len(row))
        ids.extend(row)
        entries = row.values()
        try:
            logprobs.extend(map(_LOGPROB, entries))
            ranks.extend(map(_RANK, entries))
        except AttributeError:  # bare numbers, or a null among objects
            del logprobs[len(ids) - len(row) :]
            logprobs += [getattr(entry, "logprob", entry) for entry in entries]
            ranks += [getattr(entry, "rank", None) for entry in entries]
        if names:
            literals += [_literal(getattr(entry, "decoded_token", None)) for entry in entries]
    return _columns(counts, ids, logprobs, ranks, literals if any(literals) else None)


def _rows(raw: msgspec.Raw, names: bool) -> Iterable[dict[int, Any] | None]:
    """The positions of a list, one after another: all at once where it is short, which is quicker."""
    if len(memoryview(raw)) <= _AT_ONCE:
        return (_ALL_NAMED_SCORES if names else _ALL_SCORES).decode(raw)
    return map((_NAMED_SCORES if names else _SCORES).decode, _LIST.decode(raw))


def _literal(text: str | None) -> bytes:
    """The bytes of a string that was sent; empty where parts of characters have been lost from it."""
    blob = (text or "").encode("utf-8", "surrogatepass")
    return b"" if _REPLACEMENT in blob else blob


def _columns(
    counts: Sequence[int],
    ids: Sequence[int],
    logprobs: Sequence[float | None],
    ranks: Sequence[int | None],
    literals: Sequence[bytes] | None,
    chosen: Ints | None = None,
) -> Positions:
    try:
        wide = np.array(ids, np.int64)
    except OverflowError:
        wide = np.array([_MOST_ID + 1])
    if len(wide) and wide.max() > _MOST_ID:
        raise BadResponse("The response holds a token id that no vocabulary has.", "Save the response again.")
    if len(counts) > _MOST_POSITIONS:
        raise BadResponse(
            f"The response has {len(counts):,} positions; at most {_MOST_POSITIONS:,} are read.",
            "Open the response itself, as Bedrock sent it.",
        )
    if max(counts, default=0) > _MOST_ENTRIES:
        raise BadResponse(
            f"The response lists {max(counts):,} tokens at one position; no service lists more than 20.",
            "Open the response itself, as Bedrock sent it.",
        )
    numbers = wide.astype(np.int32)
    if len(wide) and chosen is None and wide.min() < 0:
        raise BadResponse("The response holds a negative token id.", "Save the response again.")
    with np.errstate(over="ignore"):
        scores = np.array(logprobs, np.float32)  # None becomes NaN
    with np.errstate(invalid="ignore"):
        if (scores > _ROUNDING).any():
            raise BadResponse(
                f"The response holds {scores[scores > _ROUNDING][0]:g} as a logprob; none lies above 0.",
                "These may be probabilities or logits: open the response as Bedrock sent it.",
            )
        scores[scores <= ABSENT] = -np.inf
        scores[scores > 0] = 0.0
    try:
        places = np.array(ranks, np.int64)
    except (TypeError, OverflowError):  # a null, or more than any vocabulary has
        places = np.array([rank if rank is not None and 0 < rank <= _MOST_ID else -1 for rank in ranks], np.int64)
    # A rank that is none is left unknown.
    places[(places < 1) | (places > _MOST_ID)] = -1
    return Positions(
        offsets_of(np.array(counts, np.int32)),
        numbers,
        scores,
        places.astype(np.int32),
        None if literals is None else tuple(literals),
        np.full(len(counts), UNDECIDED, np.int32) if chosen is None else np.asarray(chosen, np.int32),
    )


def _spelled_out(spelling: _Spelling) -> Positions:
    """The lists of an OpenAICompletion: the token of each place first, then the alternatives as sent.

    A list that is empty where another is not was not sent. Without tokens only the alternatives are known.
    """
    length = max(len(each or ()) for each in (spelling.tokens, spelling.token_logprobs, spelling.top_logprobs))
    names = [f"token_id:{name}" if isinstance(name, int) else name for name in spelling.tokens or [None] * length]
    scores: list[float | None] = list((spelling.tokens and spelling.token_logprobs) or [None] * length)
    lists: list[dict[str, float | _Score | None] | None] = list(spelling.top_logprobs or [None] * length)
    if not len(names) == len(scores) == len(lists):
        raise BadResponse(
            f"Its lists differ in length: {len(names):,} tokens, {len(scores):,} logprobs and {len(lists):,} "
            "lists of alternatives.",
            "It is cut off or was edited: save it again.",
        )
    rows: list[list[_Entry]] = []
    for name, score, listed in zip(names, scores, lists, strict=True):
        # An entry of the token's own string but another logprob is another token of the same looks.
        own = {text: p.logprob if isinstance(p, _Score) else p for text, p in (listed or {}).items()}
        others = [(text, p, -1) for text, p in own.items() if text != name or not _same(p, score)]
        known = name is not None or score is not None or not spelling.tokens
        rows.append([(name, score, -1), *others] if known else [])
    if not spelling.tokens:
        return _strings([row[1:] for row in rows], chosen=False)
    return _strings(rows)


def _same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and math.isclose(one, other, abs_tol=1e-6))


def _spelled_chat(listed: Iterable[_Spelled]) -> Positions:
    rows: list[list[_Entry]] = []
    for entry in listed:
        own = _entry(entry)
        others = _others(entry)
        repeated = next((i for i, other in enumerate(others) if other[0] == own[0] and _same(other[1], own[1])), None)
        if repeated is not None:
            del others[repeated]
        rows.append([own, *others])
    return _strings(rows)


def _others(entry: _Spelled) -> list[_Entry]:
    """The alternatives at a position, the token itself among them."""
    if isinstance(entry.top_logprobs, dict):
        return [(name, logprob, -1) for name, logprob in entry.top_logprobs.items()]
    return [_entry(other) for other in entry.top_logprobs or entry.top_probs or ()]


def _entry(entry: _Spelled) -> _Entry:
    logprob = entry.logprob
    if logprob is None and entry.prob is not None:
        logprob = math.log(entry.prob) if entry.prob > 0 else ABSENT
    return _spelled_name(entry), logprob, entry.id if isinstance(entry.id, int) else -1


def _spelled_name(entry: _Spelled) -> str | bytes | None:
    """The bytes of a token, where the service knows them, else its string."""
    if entry.bytes and all(0 <= byte < 256 for byte in entry.bytes):
        blob = bytes(entry.bytes)
        if _REPLACEMENT not in blob:
            return blob
    return entry.token


def _strings(rows: Sequence[Sequence[_Entry]], *, chosen: bool = True) -> Positions:
    """Positions keyed by string; the first entry of each is the chosen one, if any is. "token_id:123" is an id."""
    counts = [len(row) for row in rows]
    ids: list[int] = []
    literals: list[bytes] = []
    # A token may have such a name itself; ids are sent for all tokens or for none.
    in_ids = all(_names_id(row[0][0]) for row in rows if row)
    for row in rows:
        for name, _, own in row:
            blob = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name or b""
            number = blob.removeprefix(b"token_id:")
            is_id = in_ids and _names_id(blob)
            ids.append(int(number) if is_id else own if 0 <= own <= _MOST_ID else -1)
            literals.append(b"" if is_id else blob)
    offsets = offsets_of(np.array(counts, np.int32))
    return _columns(
        counts,
        ids,
        [math.nan if p is None else p for row in rows for _, p, _ in row],
        [-1] * len(ids),
        literals,
        np.where((np.array(counts, np.int32) > 0) & chosen, offsets[:-1], UNDECIDED),
    )


def _names_id(name: str | bytes | None) -> bool:
    blob = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name or b""
    number = blob.removeprefix(b"token_id:")
    return blob.startswith(b"token_id:") and number.isdigit() and len(number) < 10


def _word(fields: Fields, name: str) -> str | None:
    """A reason that an answer ended; some servers send an object that names it."""
    value = _any(fields, name)
    value = value.get("type") if isinstance(value, dict) else value
    return value or None if isinstance(value, str) else None


def _ids(fields: Fields, name: str) -> tuple[int, ...] | None:
    ids = _read(fields, name, list[int] | None, None)
    if ids is None:
        return None
    if any(not 0 <= number <= _MOST_ID for number in ids):
        raise BadResponse("The response holds a token id that no vocabulary has.", "Save the response again.")
    return tuple(ids)


def _read(fields: Fields, name: str, kind: Any, default: Any) -> Any:
    return msgspec.json.decode(fields[name], type=kind) if name in fields else default


def _count(value: Any) -> int | None:
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None
