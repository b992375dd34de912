"""An imported model as a `lib.engines.base.Engine`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lib.core.branching import tokens_after
from lib.core.completion import Completion, Origin
from lib.core.request import Message, Request, check_text
from lib.core.sources import BedrockModel
from lib.core.stream import Delta
from lib.core.tokens import Tokens
from lib.costs.bedrock_prices import Units
from lib.costs.ledger import Ledger
from lib.engines.base import ALONE, CallContext, Capabilities, Unsupported, Window
from lib.engines.base import complete as complete_with
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.calls import Caller, WireOptions
from lib.engines.bedrock.capabilities import (
    ASSUMED,
    Abilities,
    abilities,
    by_hand,
    format_named,
    formats_in,
    no_format,
)
from lib.engines.bedrock.errors import REFUSED
from lib.engines.bedrock.runtime import Runtime
from lib.engines.remote.continuation import Continuation, boundary, continuation, prefix_in_answer, raw_prompt
from lib.engines.remote.retry import RetryPolicy
from lib.engines.remote.stream import BackgroundStream
from lib.errors import InvalidRequest, ModelUnavailable, ServiceError
from lib.tokenizers.boundary import token_at
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.formats import Format

_NO_TOKENIZER = (
    "The model's tokenizer was not found, so its tokens are shown as IDs or as the service names them. The Connection "
    "page says where Candor looked. You can choose a tokenizer beside the model."
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
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        """tokenizer: by default the one that the account finds for the model; none without an account.

        client: of bedrock-runtime, by default the account's. ledger: counts the calls and caps their cost.
        """
        self.model = model
        self._given = tokenizer
        self._account = account
        self._own_account = Account()
        self._ledger = ledger or Ledger()
        runtime = Runtime(model, account or self._own_account, client)
        self._caller = Caller(model.arn, runtime, self._ledger, retry_policy or RetryPolicy())
        self._named_by_model: Abilities | None = None  # from a refusal that listed the model's formats

    @property
    def name(self) -> str:
        """The model's ARN."""
        return self.model.arn

    @property
    def at_once(self) -> int:
        """Concurrent calls allowed now; fewer after Bedrock has throttled some."""
        return self._caller.limit

    @property
    def abilities(self) -> Abilities:
        """What the model can return, as far as is known. With an account, the first access asks Bedrock.

        Raises InvalidRequest if the format set for the model doesn't exist.
        """
        if self.model.form:
            return by_hand(format_named(self.model.form))
        if self._named_by_model is not None:
            return self._named_by_model
        if self._account is not None:
            return self._account.abilities(self.model)
        day = self.model.imported
        return abilities(None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC), None)

    def capabilities(self, *, chat: bool, ask: bool = True) -> Capabilities | Unsupported:
        """What the model can do in a mode; what most models can until this one is known. Never waits."""
        try:
            found = self.known_abilities(ask=ask)
        except InvalidRequest as error:
            return Unsupported(error.cause)
        return ASSUMED if found is None else found.reading(chat=chat)

    def known_abilities(self, *, ask: bool = True) -> Abilities | None:
        """`abilities` as far as they are known without waiting.

        ask: whether to ask Bedrock in the background. Raises InvalidRequest as `abilities` does.
        """
        if self.model.form or self._named_by_model is not None or self._account is None:
            return self.abilities
        return self._account.peek_abilities(self.model) if ask else self._account.known_abilities(self.model)

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The model's tokenizer, looked up on first access; None if there is none."""
        if self._given is not None or self._account is None:
            return self._given
        return self._account.tokenizer(self.model).tokenizer

    def wire_format(self, request: Request) -> Format:
        """The format to send a request in. Raises InvalidRequest if the model can't answer it with logprobs."""
        chat = request.prompt is None
        found = self.abilities
        chosen = found.format_for(chat=chat)
        if chosen is None:
            raise no_format(found, chat=chat)
        return chosen

    def complete(self, request: Request) -> tuple[Completion, ...]:
        """All n samples, one call each. Raises CandorError."""
        return tuple(self._complete_one(replace(request, n=1), ALONE) for _ in range(request.n))

    def stream(self, request: Request, context: CallContext = ALONE) -> BackgroundStream:
        """One sample, streamed; in one piece if the format's stream can't carry the requested prompt logprobs.

        After `close`, the rest is not read. An answer that isn't shown as it grows always comes in one piece, which
        saves work.
        """
        return BackgroundStream(lambda cancelled: self._answer(request, context, cancelled))

    def warm_up(self, context: CallContext = ALONE) -> BackgroundStream:
        """Load the model with the smallest possible call. The stream ends when the model is warm."""
        chat = self.abilities.format_for(chat=False) is None
        ask = {"messages": (Message("user", "Hi"),)} if chat else {"prompt": "Hi"}
        return self.stream(Request(**ask, max_tokens=1, k=0, prompt_scores=False), replace(context, live=False))

    def continuation_obstacle(self, request: Request) -> str:
        """Why the model can't continue from `request.prefix_ids`, as far as is known without waiting; "" if it can."""
        try:
            can = self.known_abilities()
            looked_up, tokenizer = self._known_tokenizer()
            if can is None or not looked_up:
                return ""  # not known yet; the attempt will tell
            self._continuation(request, can, tokenizer)
        except InvalidRequest as error:
            return str(error)
        return ""

    def window(self, *, wait: bool) -> Window | None:
        """The context that came with the tokenizer's files; None without a tokenizer, or if they don't say."""
        tokenizer = self.tokenizer if wait else self._known_tokenizer()[1]
        if tokenizer is None or tokenizer.context is None:
            return None

        def count(request: Request) -> int:
            if not (readings := tokenizer.readings(request)):
                raise ModelUnavailable("The model's chat template is not known.", "Use a raw prompt.")
            return max(map(len, readings))  # whether the service puts a BOS before it is not known

        return Window(tokenizer.context, count)

    def _known_tokenizer(self) -> tuple[bool, Tokenizer | None]:
        """Whether the tokenizer was looked up, and what was found. Never waits."""
        if self._given is not None or self._account is None:
            return True, self._given
        found = self._account.peek_tokenizer(self.model)
        return found is not None, None if found is None or found.value is None else found.value.tokenizer

    def encode_continuation(self, request: Request, text: str) -> tuple[tuple[int, ...], bool]:
        """IDs of a text after `request.prefix_ids`, and whether a model that is sent text would read other IDs."""
        check_text(text)
        plan = self._continuation(request, self.abilities, self.tokenizer)
        read = plan.tokenizer.readings(replace(plan.request, prompt=plan.prompt, messages=()))[0]
        pieces = plan.tokenizer.vocabulary.pieces
        before = plan.prompt + plan.prefix
        return tokens_after(plan.tokenizer.encode, pieces, before, [*read, *request.prefix_ids], text)

    def score(
        self, request: Request, candidates: Sequence[str], context: CallContext = ALONE
    ) -> tuple[Completion, ...]:
        """The candidates scored as answers to the request's prompt, one call each. Raises CandorError.

        A chat is sent as a raw prompt, rendered with the template that was imported with the model.
        """
        if not self.abilities.scores_candidates:
            raise InvalidRequest(
                "This model doesn't return logprobs for a raw prompt, so it can't score text you supply.",
                "Sample answers instead, or choose a model that returns prompt logprobs.",
            )
        prompt = raw_prompt(request, self.tokenizer)
        return tuple(self._scored(request, prompt, each, context) for each in candidates)

    def close(self) -> None:
        """Close the connections that belong to this engine."""
        self._own_account.close()

    def _continuation(self, request: Request, can: Abilities, tokenizer: Tokenizer | None) -> Continuation:
        """How to send a request that has `prefix_ids`. Raises InvalidRequest if the model can't continue it."""
        by_chat = self.model.continues and Format.CHAT in can.formats
        return continuation(request, can.format_for(chat=False), tokenizer, by_chat=by_chat)

    def _scored(self, request: Request, prompt: str, text: str, context: CallContext) -> Completion:
        sent = replace(request, prompt=prompt + text, messages=(), max_tokens=0, prompt_scores=True, n=1)
        done = self._complete_one(sent, context)
        first, overlap = boundary(done.prompt, prompt, text) or _boundary_by_length(done.prompt, prompt)
        return replace(
            done,
            request=replace(request, max_tokens=0),
            prompt=done.prompt[:first],
            generated=done.prompt[first:],
            text=text,
            stop_reason=None,
            origin=Origin.SCORED,
            overlap=overlap,
        )

    def _complete_one(self, request: Request, context: CallContext) -> Completion:
        return complete_with(self, request, replace(context, live=False))[0]

    def _answer(self, request: Request, context: CallContext, cancelled: threading.Event) -> Iterator[Delta]:
        """The answer as deltas, in another format if the model refuses the first and lists those it takes."""
        while True:
            plan = None
            if request.prefix_ids:
                plan = self._continuation(request, self.abilities, self.tokenizer)
            wire_format = self.wire_format(request) if plan is None else plan.wire_format
            try:
                if plan is None:
                    yield from self._send(request, WireOptions(wire_format), context, cancelled)
                else:
                    options = WireOptions(wire_format, plan.tokenizer, extra=plan.extra)
                    deltas = self._send(plan.request, options, context, cancelled)
                    yield from prefix_in_answer(deltas, plan, request)
            except ServiceError as error:
                listed = formats_in(error.message) if error.code == REFUSED and not self.model.form else None
                if listed is None or wire_format in listed:
                    raise
                self._named_by_model = Abilities(listed, "the model itself lists these formats")
            else:
                return

    def _send(
        self, request: Request, options: WireOptions, context: CallContext, cancelled: threading.Event
    ) -> Iterator[Delta]:
        """The answer in one format, read with the model's tokenizer unless `options` has one."""
        unstreamable = request.prompt_scores and not options.wire_format.is_bedrock
        attempt = self._caller.encoded(request, replace(options, streamed=context.live and not unstreamable))
        # Only now, as a request that is refused should cost no lookups:
        tokenizer = options.tokenizer or self.tokenizer
        warnings = (_NO_TOKENIZER,) if tokenizer is None and self._account is not None else ()
        self._learn_price()
        options = replace(attempt.options, tokenizer=tokenizer, warnings=warnings)
        yield from self._caller.send(replace(attempt, options=options), cancelled, context.on_note)
        if self._account is not None and not self.model.form:
            self._account.woken(self.model)

    def _learn_price(self) -> None:
        """Tell the ledger how many units a copy of the model takes, if Bedrock has said so already."""
        if self._account is None:
            return
        found = self._account.peek_details(self.model.place, self.model.arn)
        if found is not None and found.value is not None and found.value.units is not None:
            self._ledger.set_units(self.model.arn, Units(found.value.units, found.value.version, known=True))


def _boundary_by_length(tokens: Tokens, prompt: str) -> tuple[int, int]:
    """The first token beyond the prompt and its bytes within it, if the tokens spell another text than was sent.

    Special tokens count as empty: the service may have added them.
    """
    sizes = np.diff(tokens.pieces.offsets)[tokens.refs] * ~tokens.pieces.special[tokens.refs]
    return token_at(sizes, len(prompt.encode()))
