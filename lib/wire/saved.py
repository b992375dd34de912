"""Saved replies: a bare one, one with its request, or many of either, one to a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from lib.completion import Completion
from lib.errors import BadReply, InvalidRequest
from lib.request import Request
from lib.tokenizer import Tokenizer
from lib.tokens import MOST_CELLS, Tokens, cells_of
from lib.wire.decode import decode
from lib.wire.formats import Format
from lib.wire.replies import BROKEN, check_size
from lib.wire.requests import decode_request, route

MAX_REPLIES = 1000
MAX_ANSWERS = 10_000  # in all replies of a file
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RESPONSES = ("response", "reply", "output", "modelOutput")
_REQUESTS = ("request", "input", "modelInput")


@dataclass(frozen=True)
class Saved:
    """A saved reply. request: what was asked, None where that is not kept. line: its line in a file of many."""

    reply: bytes
    request: Request | None = None
    line: int | None = None
    warnings: tuple[str, ...] = ()

    def completions(self, tokenizer: Tokenizer | None) -> tuple[Completion, ...]:
        """What is in the reply. Raises BadReply."""
        try:
            return decode(self.reply, self.request, tokenizer)
        except BadReply as error:
            raise _at(self.line, error) from error


def completions_of(replies: Iterable[Saved], tokenizer: Tokenizer | None) -> tuple[Completion, ...]:
    """What is in all of the replies, with their warnings. Raises BadReply, also for more answers than are opened."""
    found: list[Completion] = []
    cells = 0
    for reply in replies:
        own = reply.completions(tokenizer)
        found += (replace(done, warnings=(*reply.warnings, *done.warnings)) for done in own)
        cells += sum(cells_of((done.prompt, done.generated)) for done in own)
        if len(found) > MAX_ANSWERS:
            raise BadReply(f"The file holds more than {MAX_ANSWERS:,} answers.", "Cut it into several files.")
        if cells > 2 * MOST_CELLS:
            raise BadReply("The file holds more positions and alternatives than are opened at once.", "Cut it up.")
    return tuple(found)


def read_saved(data: bytes) -> list[Saved]:
    """The replies in a file or in pasted text. Raises BadReply, naming the line where there are several."""
    check_size(len(data))
    data = data.removeprefix(b"\xef\xbb\xbf").strip()
    if not data:
        raise BadReply("There is nothing in it.", "Paste the whole reply, from its first { to its last }.")
    lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    # Several lines that are objects by themselves are a list of replies; else the whole is one.
    if len(lines) > 1 and all(line.strip().startswith(b"{") and line.strip().endswith(b"}") for _, line in lines):
        if len(lines) > MAX_REPLIES:
            raise BadReply(
                f"The file holds {len(lines):,} replies; at most {MAX_REPLIES:,} are opened at once.",
                "Cut it into several files.",
            )
        return [_one(line.strip(), number) for number, line in lines]
    return [_one(data, None)]


def _one(data: bytes, line: int | None) -> Saved:
    try:
        return _saved(data, line)
    except BadReply as error:
        raise _at(line, error) from error


def _at(line: int | None, error: BadReply) -> BadReply:
    return error if line is None else BadReply(f"Line {line}: {error.cause}", error.remedy)


def _saved(data: bytes, line: int | None) -> Saved:
    try:
        fields = _FIELDS.decode(data)
    except msgspec.ValidationError as error:
        raise BadReply(
            "This is JSON, but a list or a single value, not a reply.",
            "A reply begins with {. Of many, put each on a line of its own.",
        ) from error
    except (*BROKEN, RecursionError):
        fields = {}  # perhaps JSON as only Python writes it; the reply's own reader says what is wrong
    if any(name in fields for name in ("generation", "choices", "outputs")):
        return Saved(data, None, line)
    reply = next((bytes(fields[name]) for name in _RESPONSES if name in fields), None)
    if reply is None:
        unusual = _with_constants(data) if not fields else None
        return unusual or Saved(data, None, line)
    body = next((bytes(fields[name]) for name in _REQUESTS if name in fields), None)
    return _paired(_unquoted(reply), None if body is None else _unquoted(body), line)


def _unquoted(data: bytes) -> bytes:
    """Bodies are saved as objects, or as strings that hold them."""
    if not data.startswith(b'"'):
        return data
    try:
        return str(msgspec.json.decode(data, type=str)).encode("utf-8", "surrogatepass")
    except BROKEN:
        return data


def _paired(reply: bytes, body: bytes | None, line: int | None) -> Saved:
    if body is None:
        return Saved(reply, None, line)
    try:
        asked: Any = json.loads(body)
        if not isinstance(asked, dict):
            raise InvalidRequest("It is not an object.")
        return Saved(reply, decode_request(asked, _form(asked, reply)), line)
    except (ValueError, RecursionError, InvalidRequest) as error:
        reason = error.cause if isinstance(error, InvalidRequest) else "It is not JSON."
        return Saved(reply, None, line, (f"The request that was saved with the reply cannot be used: {reason}",))


def _form(body: dict[str, Any], reply: bytes) -> Format:
    """The format of a request, its generation told from the reply: only early models answer with prompt scores."""
    form = route(body)
    return Format.EARLY if form is Format.BEDROCK and b'"prompt_logprobs"' in reply else form


def _with_constants(data: bytes) -> Saved | None:
    """A reply with its request in JSON that holds NaN or -Infinity."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    reply = next((document[name] for name in _RESPONSES if name in document), None)
    if reply is None:
        return None
    body = next((document[name] for name in _REQUESTS if name in document), None)
    return _paired(json.dumps(reply).encode(), None if body is None else json.dumps(body).encode(), None)


def decoded(done: Completion) -> dict[str, list[dict[str, list[Any]] | None]]:
    """Per position id to [text, p rounded to four decimals], as published with the first replies that had logprobs.

    A position's own token comes first, then the others, likeliest first; null where nothing is scored. A token without
    an id goes by its text.
    """
    return {
        name: list(_decoded(getattr(done, part)))
        for name, part in (("prompt_logprobs", "prompt"), ("logprobs", "generated"))
    }


def _decoded(tokens: Tokens) -> Iterator[dict[str, list[Any]] | None]:
    for row in range(len(tokens)):
        entries = [(int(tokens.refs[row]), float(tokens.logprobs[row]))]
        entries += zip(tokens.top_refs[row].tolist(), tokens.top_logprobs[row].tolist(), strict=True)
        found: dict[str, list[Any]] = {}
        for ref, logprob in entries:
            if ref >= 0 and not math.isnan(logprob):
                number, text = int(tokens.pieces.ids[ref]), tokens.pieces.text_of(ref)
                found.setdefault(str(number) if number >= 0 else text, [text, round(math.exp(logprob), 4)])
        yield found or None
