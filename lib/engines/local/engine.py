"""The local engine; see `lib.engines.base.Engine` for its contract."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial

from lib.core.branching import tokens_after
from lib.core.completion import Completion
from lib.core.request import Request, check_text
from lib.core.stream import fold
from lib.engines.base import ALONE, CallContext, Capabilities, Unsupported, Window
from lib.engines.local.generation import answer_limit, generate
from lib.engines.local.loading import LoadedModel
from lib.engines.local.model_runner import AT_ONCE, ModelRunner
from lib.engines.local.prefix_cache import BUDGET, PrefixCache
from lib.engines.local.preview import NO_TEMPLATE
from lib.engines.local.prompts import encode, prompt_text, render
from lib.engines.local.scheduler import Scheduler, Ticket
from lib.engines.local.scoring import score_texts, score_under, tokenize
from lib.engines.local.steps import run_steps
from lib.engines.local.turns import without_gradients
from lib.models.memory import available_memory

_SHARE = 0.5  # of the memory that is free once the model is loaded, for all active requests together


class LocalEngine:
    """Answers requests with a model on this machine. Thread-safe; requests take turns."""

    def __init__(self, loaded: LoadedModel, *, budget: int | None = None, kept: int = BUDGET) -> None:
        """Start the engine's thread.

        budget: bytes for active requests; None takes half of the free memory.
        kept: bytes for the prefix cache, from which branches continue; 0 turns it off.
        """
        self.loaded = loaded
        self.runner = ModelRunner(loaded)
        self.prefix_cache = PrefixCache(self.runner, kept)
        self._scheduler = Scheduler(
            int(available_memory() * _SHARE) if budget is None else budget, together=partial(run_steps, self.runner)
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.loaded.name

    @property
    def weights(self) -> str:
        """The fingerprint of the weights."""
        return dict(self.loaded.provenance)["weights"]

    def capabilities(self, *, chat: bool, ask: bool = True) -> Capabilities | Unsupported:  # noqa: ARG002
        """Everything; chat only if the model has a template for it."""
        return Unsupported(NO_TEMPLATE) if chat and not self.loaded.has_chat_template else Capabilities()

    def complete(self, request: Request) -> tuple[Completion, ...]:
        """All n samples, generated in one batch. Raises InvalidRequest, OutOfMemory, Busy or Cancelled."""
        with closing(self.stream(request)) as stream:
            return fold(stream)

    def stream(self, request: Request, context: CallContext = ALONE) -> Ticket:
        """The same as deltas, token by token. Closing the iterator, from any thread, cancels the request.

        The request is checked and queued before this returns, not at the first `next`. Waiting requests are admitted
        owner by owner.
        """
        submitted = time.monotonic()
        rendered = render(self.loaded, request)
        work = without_gradients(generate(self.runner, self.prefix_cache, request, rendered, submitted))
        read = len(rendered.ids) + len(request.prefix_ids)
        limit, _ = answer_limit(self.loaded, request, read)
        cost = self.runner.request_bytes(read, (read + limit) * request.n, request.n)
        return self._scheduler.submit(work, cost=cost, owner=context.owner)

    def prompt_tokens(self, request: Request) -> int:
        """Number of tokens in the prompt. Raises InvalidRequest as `complete` does."""
        return len(render(self.loaded, request).ids)

    def window(self, *, wait: bool) -> Window | None:  # noqa: ARG002
        """The model's context; None if it has no limit. Counts prompts that are too long as well."""

        def count(request: Request) -> int:
            return len(encode(self.loaded, prompt_text(self.loaded, request), templated=request.prompt is None))

        return None if self.loaded.context is None else Window(self.loaded.context, count)

    def score(
        self, request: Request, candidates: Sequence[str], context: CallContext = ALONE
    ) -> tuple[Completion, ...]:
        """Score each text as an answer to the request's prompt. Raises the same errors as `complete`."""
        submitted = time.monotonic()
        if not candidates:
            return ()
        rendered = render(self.loaded, request)
        texts = [tokenize(self.loaded, request, rendered, candidate) for candidate in candidates]
        work = without_gradients(score_texts(self.runner, self.prefix_cache, texts, submitted))
        lengths = [len(text.ids) for text in texts]
        longest, at_once = max(lengths), min(sum(lengths), AT_ONCE)
        cost = self.runner.request_bytes(max(longest, at_once), 2 * longest + at_once)
        with closing(self._scheduler.submit(work, cost=cost, owner=context.owner)) as results:
            return tuple(results)

    def score_under(
        self, requests: Sequence[Request], text: str, context: CallContext = ALONE
    ) -> tuple[Completion, ...]:
        """Score one text as an answer to each request's prompt; the prompts themselves stay unscored.

        Raises the same errors as `complete`.
        """
        submitted = time.monotonic()
        if not requests:
            return ()
        texts = [tokenize(self.loaded, each, render(self.loaded, each), text) for each in requests]
        work = without_gradients(score_under(self.runner, texts, submitted))
        longest = max(len(each.ids) for each in texts)
        cost = self.runner.request_bytes(longest, 2 * longest)
        with closing(self._scheduler.submit(work, cost=cost, owner=context.owner)) as results:
            return tuple(results)

    def continuation_obstacle(self, request: Request) -> str:
        """Why the model cannot continue after `request.prefix_ids`; "" if it can."""
        ends = bool(request.prefix_ids) and request.prefix_ids[-1] in self.loaded.eos_ids
        return "This token would end the answer." if ends else ""

    def encode_continuation(self, request: Request, text: str) -> tuple[tuple[int, ...], bool]:
        """Ids of a text placed after `request.prefix_ids`, and whether encoding both as one text gives other ids."""
        check_text(text)
        rendered, pieces = render(self.loaded, request), self.loaded.vocabulary.pieces
        forced = b"".join(pieces.bytes_of(token) for token in request.prefix_ids).decode("utf-8", "replace")

        def encoded(text: str) -> list[int]:
            return encode(self.loaded, text, templated=rendered.templated)

        return tokens_after(encoded, pieces, rendered.text + forced, [*rendered.ids, *request.prefix_ids], text)

    @property
    def busy(self) -> bool:
        """Whether a request is active or waiting."""
        return self._scheduler.busy

    def close(self) -> None:
        """Stop the engine's thread. Active and waiting requests end with Cancelled; later ones are refused."""
        self._scheduler.close()
        self.prefix_cache.clear()
