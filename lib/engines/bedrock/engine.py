"""An imported model as an engine: see `lib.engines.base.Engine` for what it promises."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lib.core.branching import tokens_after
from lib.core.completion import Completion, Origin, Timing
from lib.core.request import MAX_K, Message, Request, check_text
from lib.core.sources import BedrockModel
from lib.core.stream import Delta, fold
from lib.core.tokens import Tokens
from lib.costs.bedrock_prices import Units
from lib.costs.ledger import Ledger
from lib.engines.base import Capabilities
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.capabilities import Abilities, abilities, by_hand, formats_in
from lib.engines.bedrock.continuation import boundary, continuation, raw_prompt, told_apart
from lib.engines.bedrock.runtime import Runtime
from lib.engines.remote.rate_limit import Gate, Turn
from lib.engines.remote.retry import THROTTLED, Patience, patiently
from lib.engines.remote.stream import Call
from lib.errors import BadResponse, CandorError, InvalidRequest, ServiceError
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.decode import decode
from lib.wire.formats import Format, asked_top
from lib.wire.requests import encode_request
from lib.wire.stream_decoder import StreamReader

AT_ONCE = 16  # calls of one model under way, as long as Bedrock does not throttle them
_REFUSED = "ValidationException"
_MOST_ALLOWED = re.compile(r"max allowed: (\d+)")
_NO_TOKENIZER = (
    "The model's tokenizer was not found, and its tokens are shown by their ids or as the service names them. The page "
    "Connection says where it was looked for; a tokenizer can be given beside the model."
)


class BedrockEngine:
    """Answers requests with an imported model, one call per sample. Safe to share between threads."""

    def __init__(
        self,
        model: BedrockModel,
        tokenizer: Tokenizer | None = None,
        *,
        client: Any = None,
        account: Account | None = None,
        ledger: Ledger | None = None,
        patience: Patience | None = None,
    ) -> None:
        """tokenizer: by default what the account finds for the model, where one is given; else none.

        client: of bedrock-runtime, by default the account's. ledger: what calls are counted in.
        """
        self.model = model
        self._given = tokenizer
        self._account = account
        self._own = Account()
        self._runtime = Runtime(model, account or self._own, client)
        self._ledger = ledger or Ledger()
        self._patience = patience or Patience()
        self._gate = Gate(AT_ONCE)
        self._reading = threading.Lock()
        self._most = MAX_K  # alternatives that the model takes; less once it has said so
        self._spoken: Abilities | None = None  # once a refusal has told

    @property
    def name(self) -> str:
        """The model's ARN."""
        return self.model.arn

    @property
    def busy(self) -> bool:
        """Never in the way of another model: it takes no memory here."""
        return False

    @property
    def at_once(self) -> int:
        """Calls that may be under way now; fewer after Bedrock has throttled some."""
        return self._gate.limit

    @property
    def abilities(self) -> Abilities:
        """What is known of what the model can return; asked of Bedrock the first time, where there is an account."""
        if self.model.form:
            return by_hand(Format[self.model.form])
        if self._spoken is not None:
            return self._spoken
        if self._account is not None:
            return self._account.abilities(self.model)
        day = self.model.imported
        return abilities(None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC), None)

    @property
    def capabilities(self) -> Capabilities:
        """What its formats can carry between them."""
        return self.abilities.capabilities

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The model's tokenizer, looked for the first time; None where there is none."""
        if self._given is not None or self._account is None:
            return self._given
        return self._account.tokenizer(self.model).tokenizer

    def form(self, request: Request) -> Format:
        """The format that a request goes out in. Raises InvalidRequest where the model cannot answer with logprobs."""
        chat = request.prompt is None
        found = self.abilities
        chosen = found.format_for(chat=chat)
        if chosen is None:
            raise _no_format(found, chat=chat)
        return chosen

    def complete(self, request: Request, *, owner: str = "") -> tuple[Completion, ...]:
        """All n samples, one call each. Raises CandorError."""
        return tuple(self._whole(replace(request, n=1), owner) for _ in range(request.n))

    def stream(self, request: Request, *, owner: str = "", live: bool = True) -> Call:  # noqa: ARG002
        """One sample, step by step; in one piece where prompt scores are wanted that no stream of the format carries.

        live: False where nobody watches, which takes fewer steps. Closing it stops listening; what the service still
        writes is not read.
        """
        return Call(lambda gone: self._answered(request, live, gone))

    def warm_up(self) -> Call:
        """Wake the model with the smallest call there is; the stream ends when it is awake."""
        chat = not self.capabilities.raw
        ask = {"messages": (Message("user", "Hi"),)} if chat else {"prompt": "Hi"}
        return self.stream(Request(**ask, max_tokens=1, k=0, prompt_scores=False), live=False)

    def continuation_obstacle(self, request: Request) -> str:
        """Why the model cannot go on from `request.prefix_ids`, as far as is known without asking; "" where it can."""
        account = self._account
        asking = account is not None and not self.model.form and self._spoken is None
        can = account.peek_abilities(self.model) if account is not None and asking else self.abilities
        found = account.peek_tokenizer(self.model) if account is not None and self._given is None else None
        if can is None or (account is not None and self._given is None and found is None):
            return ""  # not known yet: it turns out when it is tried
        tokenizer = self._given or (found.value.tokenizer if found is not None and found.value is not None else None)
        try:
            continuation(request, can, tokenizer, by_chat=self.model.continues)
        except InvalidRequest as error:
            return str(error)
        return ""

    def encode_continuation(self, request: Request, text: str) -> tuple[tuple[int, ...], bool]:
        """Ids of a text put after `request.prefix_ids`, and whether a model that is sent text reads others."""
        check_text(text)
        tokenizer = self.tokenizer
        how = continuation(request, self.abilities, tokenizer, by_chat=self.model.continues)
        read = how.tokenizer.readings(replace(how.request, prompt=how.prompt, messages=()))[0]
        pieces = how.tokenizer.vocabulary.pieces
        return tokens_after(how.tokenizer.encode, pieces, how.prompt + how.prefix, [*read, *request.prefix_ids], text)

    def score(self, request: Request, continuations: Sequence[str], *, owner: str = "") -> tuple[Completion, ...]:
        """The texts as answers to the request's prompt, scored: one call each. Raises CandorError.

        A chat goes out as a raw prompt, rendered with the template that was imported with the model.
        """
        if not self.abilities.scores_given:
            raise InvalidRequest(
                "This model returns no scores of a raw prompt, which texts that are given need.",
                "Draw answers instead, or choose a model that returns them.",
            )
        prompt = raw_prompt(request, self.tokenizer)
        return tuple(self._scored(request, prompt, each, owner) for each in continuations)

    def score_under(self, requests: Sequence[Request], text: str, *, owner: str = "") -> tuple[Completion, ...]:
        """The text after each of the prompts: one call each. Raises as `score` does."""
        return tuple(done for request in requests for done in self.score(request, [text], owner=owner))

    def _scored(self, request: Request, prompt: str, continuation: str, owner: str) -> Completion:
        asked = replace(request, prompt=prompt + continuation, messages=(), max_tokens=0, prompt_scores=True, n=1)
        done = self._whole(asked, owner)
        first, overlap = boundary(done.prompt, prompt, continuation) or _by_length(done.prompt, prompt)
        return replace(
            done,
            request=replace(request, max_tokens=0),
            prompt=done.prompt[:first],
            generated=done.prompt[first:],
            text=continuation,
            stop_reason=None,
            origin=Origin.SCORED,
            overlap=overlap,
        )

    def close(self) -> None:
        """Give the connections back that are this engine's own."""
        self._own.close()

    def _whole(self, request: Request, owner: str) -> Completion:
        with closing(self.stream(request, owner=owner, live=False)) as stream:
            return fold(stream)[0]

    def _answered(self, request: Request, live: bool, gone: threading.Event) -> Iterator[Delta]:
        """The answer as deltas, in the format that the model turns out to speak."""
        while True:
            try:
                if request.prefix_ids:
                    how = continuation(request, self.abilities, self.tokenizer, by_chat=self.model.continues)
                    form = how.form
                    sent = self._answered_in(form, how.request, live, gone, how.extra, how.tokenizer)
                    yield from told_apart(sent, how, request)
                else:
                    form = self.form(request)
                    yield from self._answered_in(form, request, live, gone)
            except ServiceError as error:
                spoken = formats_in(error.message) if error.code == _REFUSED and not self.model.form else None
                if spoken is None or form in spoken:
                    raise
                self._spoken = Abilities(spoken, "the model itself names these formats")
            else:
                return

    def _answered_in(
        self,
        form: Format,
        request: Request,
        live: bool,
        gone: threading.Event,
        extra: dict[str, Any] | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> Iterator[Delta]:
        """The answer in one format. extra: more fields of the body. tokenizer: to read it with, if not the model's."""
        encode_request(request, form)  # refused before anything is looked up
        whole = (request.prompt_scores and not form.is_bedrock) or not live
        tokenizer = tokenizer or self.tokenizer
        self._learn_price()
        with self._ledger.call(self.model.arn) as call, self._gate.turn() as turn:
            began = time.monotonic()
            if whole:
                data = yield from self._asked(self._runtime.invoke, request, form, False, turn, gone, extra)
                call.answered()
                turn.leave()
                timing = Timing(total=time.monotonic() - began)
                # One after another, and after the calls that now go out in its place: all share the interpreter.
                with self._reading:
                    self._gate.wait_for_quiet()
                    done = self._decoded(data, self._as_asked(request, form), tokenizer)
                warnings = (*done.warnings, *self._notes(request, form, tokenizer))
                yield Delta(0, whole=replace(done, request=request, warnings=warnings, timing=timing))
            else:
                events = yield from self._asked(self._runtime.open, request, form, True, turn, gone, extra)
                call.answered()
                reader = StreamReader(self._as_asked(request, form), tokenizer, model=self.model.arn)
                notes = self._notes(request, form, tokenizer)
                try:
                    yield from self._followed(events, reader, request, notes, began, gone)
                except ServiceError as error:
                    turn.leave(throttled=error.code == THROTTLED)
                    raise
        if self._account is not None and not self.model.form:
            self._account.woken(self.model)

    def _asked(
        self,
        ask: Callable[[bytes], Any],
        request: Request,
        form: Format,
        streamed: bool,
        turn: Turn,
        gone: threading.Event,
        extra: dict[str, Any] | None = None,
    ) -> Generator[Delta, None, Any]:
        """What the service gives, with patience; with fewer alternatives where it says that it gives no more."""
        while True:
            fields = encode_request(request, form, streamed=streamed, most=self._most)
            body = json.dumps(fields | (extra or {})).encode()
            try:
                return (yield from patiently(lambda: ask(body), turn, gone, self._patience))  # noqa: B023
            except ServiceError as error:
                allowed = _MOST_ALLOWED.search(error.message) if error.code == _REFUSED else None
                if allowed is None or int(allowed[1]) >= self._most:
                    raise
                self._most = int(allowed[1])

    def _followed(
        self,
        events: Any,
        reader: StreamReader,
        request: Request,
        notes: tuple[str, ...],
        began: float,
        gone: threading.Event,
    ) -> Iterator[Delta]:
        """The deltas of a stream; of the completions in them, the request is as it was asked, and `notes` are added."""
        first: float | None = None
        with closing(events):
            try:
                for event in events:
                    first = first or time.monotonic()
                    for delta in reader.feed(event["chunk"]["bytes"]):
                        yield _with_request(delta, request)
                    if gone.is_set():
                        return
            except CandorError:
                raise
            except Exception as error:
                raise self._runtime.in_words(error) from error
        ended = time.monotonic()
        timing = Timing(None, None if first is None else first - began, ended - began)
        for delta in reader.close(timing):
            yield _with_warnings(delta, notes)

    def _as_asked(self, request: Request, form: Format) -> Request:
        """The request with as many alternatives as were asked for after all."""
        return request if asked_top(form, request.k) <= self._most else replace(request, k=min(request.k, self._most))

    def _notes(self, request: Request, form: Format, tokenizer: Tokenizer | None) -> tuple[str, ...]:
        """What is to be said of an answer beside what its response shows."""
        notes = []
        if tokenizer is None and self._account is not None:
            notes.append(_NO_TOKENIZER)
        if not form.is_bedrock and request.k > self._most:
            notes.append(f"This model gives {self._most} alternatives at most; {request.k} were asked for.")
        return tuple(notes)

    def _decoded(self, data: bytes, request: Request, tokenizer: Tokenizer | None) -> Completion:
        """The completion in a response. Raises BadResponse, which keeps what was paid for."""
        try:
            return decode(data, request, tokenizer, model=self.model.arn)[0]
        except BadResponse as error:
            raise BadResponse(error.cause, error.remedy, data) from error

    def _learn_price(self) -> None:
        """Tell the ledger what a copy of the model takes, once Bedrock has said so; nobody waits for that."""
        if self._account is None:
            return
        found = self._account.peek_details(self.model.place, self.model.arn)
        if found is not None and found.value is not None and found.value.units is not None:
            self._ledger.set_units(self.model.arn, Units(found.value.units, found.value.version, known=True))


def _no_format(found: Abilities, *, chat: bool) -> InvalidRequest:
    if not found.formats:
        return InvalidRequest(
            "This model was imported before 2025-07-31, and such models return no logprobs.",
            "Import it again, or correct the import date beside the model.",
        )
    if chat:
        return InvalidRequest(
            "This model takes no chats: it was imported without a chat template, or before 2025-11-11.",
            "Use raw text, with the markers of its template typed in where it was trained on them.",
        )
    return InvalidRequest("This model takes chats only, no raw text.", "Choose Chat.")


def _with_request(delta: Delta, request: Request) -> Delta:
    return delta if delta.start is None else replace(delta, start=replace(delta.start, request=request))


def _with_warnings(delta: Delta, more: tuple[str, ...]) -> Delta:
    return delta if delta.end is None else replace(delta, end=replace(delta.end, warnings=(*delta.end.warnings, *more)))


def _by_length(tokens: Tokens, prompt: str) -> tuple[int, int]:
    """The first token that does not belong to the prompt alone, and its bytes that do, where tokens spell another text.

    Tokens of a special kind count for nothing: the service may have added them.
    """
    sizes = np.diff(tokens.pieces.offsets)[tokens.refs] * ~tokens.pieces.special[tokens.refs]
    limit = len(prompt.encode())
    ends = np.cumsum(sizes)
    beyond = np.flatnonzero((ends > limit) & (sizes > 0))
    if not len(beyond):
        return len(tokens), 0
    first = int(beyond[0])
    return first, max(int(limit - (ends[first] - sizes[first])), 0)
