"""The local engine: see `lib.engines.base.Engine` for what it promises."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing

from lib.core.branching import tokens_after
from lib.core.completion import Completion
from lib.core.request import MAX_K, Request, check_text
from lib.core.stream import fold
from lib.engines.base import Capabilities
from lib.engines.local.generation import answer_limit, generate, without_gradients
from lib.engines.local.loading import LoadedModel
from lib.engines.local.model_runner import AT_ONCE, ModelRunner, tokens_per_pass
from lib.engines.local.prefix_cache import BUDGET, PrefixCache
from lib.engines.local.prompts import encode, render
from lib.engines.local.scheduler import Scheduler, Ticket
from lib.engines.local.scoring import score_texts, score_under, tokenise
from lib.models.memory import available_memory

_SHARE = 0.5  # of the memory free when the model has been loaded, for all requests together


class LocalEngine:
    """Answers requests with a model on this machine. Safe to share between threads; requests take turns."""

    def __init__(self, loaded: LoadedModel, *, budget: int | None = None, kept: int = BUDGET) -> None:
        """budget: bytes for the requests being worked on; by default half of what is free now.

        kept: bytes for the caches of answers, from which branches go on.
        """
        self.loaded = loaded
        self._reader = ModelRunner(loaded)
        self._kept = PrefixCache(self._reader, kept)
        self._scheduler = Scheduler(
            int(available_memory() * _SHARE) if budget is None else budget, together=self._reader.steps
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.loaded.name

    @property
    def capabilities(self) -> Capabilities:
        """Everything, and chat where the model has a template for it."""
        return Capabilities(
            prompt_scores=True,
            max_k=MAX_K,
            ranks=True,
            chat=self.loaded.has_chat_template,
            streaming=True,
            context=self.loaded.context,
        )

    def complete(self, request: Request, *, owner: str = "") -> tuple[Completion, ...]:
        """All n samples, written in one batch. Raises InvalidRequest, OutOfMemory, Busy or Cancelled."""
        with closing(self.stream(request, owner=owner)) as stream:
            return fold(stream)

    def stream(self, request: Request, *, owner: str = "", live: bool = True) -> Ticket:  # noqa: ARG002
        """The same as deltas, token by token; closing the iterator, from any thread, cancels the request.

        owner: whoever asks; waiting requests are admitted owner by owner. The request is checked and queued before
        this returns, not at the first `next`.
        """
        asked = time.monotonic()
        rendered = render(self.loaded, request)
        work = without_gradients(generate(self.loaded, self._reader, self._kept, request, rendered, asked))
        read = len(rendered.ids) + len(request.prefix_ids)
        written, _ = answer_limit(self.loaded, request, read)
        cost = self._cost(read, (read + written) * request.n, request.n)
        return self._scheduler.submit(work, cost=cost, owner=owner)

    def prompt_tokens(self, request: Request) -> int:
        """How many tokens the model would read. Raises InvalidRequest as `complete` does."""
        return len(render(self.loaded, request).ids)

    def score(self, request: Request, continuations: Sequence[str], *, owner: str = "") -> tuple[Completion, ...]:
        """The texts as answers to the request's prompt, scored. Raises as `complete` does."""
        asked = time.monotonic()
        if not continuations:
            return ()
        rendered = render(self.loaded, request)
        texts = [tokenise(self.loaded, rendered, continuation) for continuation in continuations]
        work = without_gradients(score_texts(self.loaded, self._reader, self._kept, request, rendered, texts, asked))
        lengths = [len(text.ids) for text in texts]
        longest, at_once = max(lengths), min(sum(lengths), AT_ONCE)
        cost = self._cost(max(longest, at_once), 2 * longest + at_once)
        with closing(self._scheduler.submit(work, cost=cost, owner=owner)) as results:
            return tuple(results)

    def score_under(self, requests: Sequence[Request], text: str, *, owner: str = "") -> tuple[Completion, ...]:
        """The text as an answer to each of the requests' prompts; the prompts themselves are left unscored.

        Raises as `complete` does.
        """
        asked = time.monotonic()
        if not requests:
            return ()
        rendered = [render(self.loaded, request) for request in requests]
        texts = [tokenise(self.loaded, around, text) for around in rendered]
        work = without_gradients(score_under(self.loaded, self._reader, requests, rendered, texts, asked))
        longest = max(len(each.ids) for each in texts)
        with closing(self._scheduler.submit(work, cost=self._cost(longest, 2 * longest), owner=owner)) as results:
            return tuple(results)

    def continuation_obstacle(self, request: Request) -> str:
        """Why not; of a token that ends an answer alone."""
        ends = bool(request.prefix_ids) and request.prefix_ids[-1] in self.loaded.eos_ids
        return "This token would end the answer." if ends else ""

    def encode_continuation(self, request: Request, text: str) -> tuple[tuple[int, ...], bool]:
        """Ids of a text put after `request.prefix_ids`, and whether the two as one text would be cut otherwise."""
        check_text(text)
        rendered, pieces = render(self.loaded, request), self.loaded.vocabulary.pieces
        begun = b"".join(pieces.bytes_of(token) for token in request.prefix_ids).decode("utf-8", "replace")

        def encoded(text: str) -> list[int]:
            return encode(self.loaded, text, templated=rendered.templated)

        return tokens_after(encoded, pieces, rendered.text + begun, [*rendered.ids, *request.prefix_ids], text)

    @property
    def busy(self) -> bool:
        """Whether a request is being worked on or waits."""
        return self._scheduler.busy

    def close(self) -> None:
        """Stop the engine's thread; requests under way end with Cancelled, later ones are refused."""
        self._scheduler.close()
        self._kept.clear()

    def _cost(self, read: int, kept: int, samples: int = 1) -> int:
        """Bytes a request takes: its cache, the pass over a chunk of its prompt, and the scores of its rows.

        read: tokens of the prompt. kept: tokens in the cache at the end, of all samples together.
        """
        config = self.loaded.model.config.get_text_config()
        inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
        width = 8 * config.hidden_size + 4 * (max(inner) if isinstance(inner, list | tuple) else inner)
        rows = max(tokens_per_pass(read), samples)
        return int(self._reader.cache_bytes(kept) + rows * width * 4 + self._reader.score_bytes(rows))
