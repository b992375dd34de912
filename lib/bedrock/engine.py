"""An imported model as an engine: see `lib.engine.Engine` for what it promises."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lib.bedrock.faults import in_words
from lib.completion import Completion, Delta, End, Timing
from lib.engine import Capabilities
from lib.errors import Cancelled, CandorError, InvalidRequest
from lib.request import MAX_K, Request
from lib.sources import BedrockModel
from lib.tokenizer import Tokenizer
from lib.tokens import Tokens
from lib.wire.decode import decode
from lib.wire.formats import Format, carried_k, format_for
from lib.wire.requests import encode_request
from lib.wire.streams import StreamReader

_END = object()


class BedrockEngine:
    """Answers requests with an imported model, one call per sample. Safe to share between threads."""

    def __init__(self, model: BedrockModel, tokenizer: Tokenizer | None, *, client: Any = None) -> None:
        """client: of bedrock-runtime; by default boto3's, with its own chain of credentials. Raises ServiceError."""
        self.model, self.tokenizer = model, tokenizer
        self._client = client if client is not None else runtime_client(model)

    @property
    def name(self) -> str:
        """The model's ARN."""
        return self.model.arn

    @property
    def busy(self) -> bool:
        """Never in the way of another model: it takes no memory here."""
        return False

    @property
    def capabilities(self) -> Capabilities:
        """What the format for raw prompts can carry."""
        form = self.form(Request(prompt="x"))
        return Capabilities(
            prompt_scores=form.scores_prompts,
            max_k=carried_k(form, MAX_K),
            ranks=not form.is_bedrock,
            chat=not form.is_bedrock,
            streaming=True,
            context=None,
        )

    def form(self, request: Request) -> Format:
        """The format that a request goes out in. Raises InvalidRequest where the model cannot answer with logprobs."""
        if self.model.form:
            form = Format[self.model.form]
            if (form is Format.CHAT) != (request.prompt is None):
                return Format.CHAT if request.prompt is None else Format.OPENAI
            return form
        day = self.model.imported
        imported = None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
        chosen = format_for(request, imported)
        if chosen is None:
            raise InvalidRequest(
                "This model was imported before 2025-07-31, and such models return no logprobs.",
                "Import it again, or correct the import date beside the model.",
            )
        return chosen

    def complete(self, request: Request, *, owner: str = "") -> tuple[Completion, ...]:  # noqa: ARG002
        """All n samples, one call each. Raises CandorError."""
        return tuple(self._whole(request) for _ in range(request.n))

    def stream(self, request: Request, *, owner: str = "") -> Call:  # noqa: ARG002
        """One sample, step by step; in one piece where prompt scores are wanted that no stream of the format carries.

        Closing it stops listening; what the service still writes is not read.
        """
        form = self.form(request)
        encode_request(request, form)  # refused here rather than at the first step
        if request.prompt_scores and not form.is_bedrock:
            return Call(lambda _: self._in_one_piece(request))
        return Call(lambda cancelled: self._streamed(request, form, cancelled))

    def score(
        self,
        request: Request,
        continuations: Sequence[str],
        *,
        owner: str = "",  # noqa: ARG002
    ) -> tuple[Completion, ...]:
        """The texts as answers to the request's raw prompt, scored: one call each. Raises CandorError."""
        if request.prompt is None or not self.form(request).scores_prompts:
            raise InvalidRequest(
                "This model can only score given texts after a raw prompt, and only in a format with prompt scores.",
                "Use a raw prompt, and OpenAICompletion beside the model.",
            )
        return tuple(self._scored(request, request.prompt, each) for each in continuations)

    def _scored(self, request: Request, prompt: str, continuation: str) -> Completion:
        whole = replace(request, prompt=prompt + continuation, max_tokens=0, prompt_scores=True, n=1)
        done = self._whole(whole)
        first, overlap = boundary(done.prompt, prompt)
        return replace(
            done,
            request=request,
            prompt=done.prompt[:first],
            generated=done.prompt[first:],
            text=continuation,
            stop_reason=None,
            origin="scored",
            overlap=overlap,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _whole(self, request: Request) -> Completion:
        form = self.form(request)
        began = time.monotonic()
        body = json.dumps(encode_request(request, form)).encode()
        try:
            answer = self._client.invoke_model(
                modelId=self.model.arn, body=body, accept="application/json", contentType="application/json"
            )
            with closing(answer["body"]) as arriving:  # whatever happens, the connection does not stay half read
                data = arriving.read()
        except Exception as error:
            raise in_words(error) from error
        done = decode(data, request, self.tokenizer, model=self.model.arn)[0]
        return replace(done, timing=Timing(total=time.monotonic() - began))

    def _in_one_piece(self, request: Request) -> Iterator[Delta]:
        done = self._whole(request)
        yield from pieces_of(done)

    def _streamed(self, request: Request, form: Format, cancelled: threading.Event) -> Iterator[Delta]:
        began = time.monotonic()
        body = json.dumps(encode_request(request, form, streamed=True)).encode()
        reader = StreamReader(request, self.tokenizer, model=self.model.arn)
        first: float | None = None
        try:
            answer = self._client.invoke_model_with_response_stream(
                modelId=self.model.arn, body=body, accept="application/json", contentType="application/json"
            )
        except Exception as error:
            raise in_words(error) from error
        with closing(answer["body"]) as events:
            try:
                for event in events:
                    first = first or time.monotonic()
                    yield from reader.feed(event["chunk"]["bytes"])
                    if cancelled.is_set():
                        return
            except CandorError:
                raise
            except Exception as error:
                raise in_words(error) from error
        yield from reader.close(Timing(None, None if first is None else first - began, time.monotonic() - began))


def boundary(tokens: Tokens, prompt: str) -> tuple[int, int]:
    """(first token that does not belong to the prompt alone, bytes of it that do)."""
    sizes = np.diff(tokens.pieces.offsets)[tokens.refs] * ~tokens.pieces.special[tokens.refs]
    shown = np.flatnonzero(sizes)
    # SentencePiece puts a space before a text that has none.
    led = len(shown) and tokens.pieces.bytes_of(int(tokens.refs[shown[0]])).startswith(b" ") and prompt[:1] != " "
    limit = len(prompt.encode()) + bool(led)
    ends = np.cumsum(sizes)
    beyond = np.flatnonzero((ends > limit) & (sizes > 0))
    if not len(beyond):
        return len(tokens), 0
    first = int(beyond[0])
    return first, max(int(limit - (ends[first] - sizes[first])), 0)


def pieces_of(done: Completion) -> Iterator[Delta]:
    """A completion as the deltas that fold to it."""
    yield Delta(0, start=replace(done, generated=done.generated[:0], text=""))
    yield Delta(0, generated=done.generated, text=done.text, end=End(done.stop_reason, done.timing))


class Call:
    """A call under way in a thread of its own, so that whoever waits for it can be told to stop waiting."""

    def __init__(self, work: Callable[[threading.Event], Iterator[Delta]]) -> None:
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._over: Any = None
        threading.Thread(target=self._run, args=(work,), name="candor-bedrock", daemon=True).start()

    def _run(self, work: Callable[[threading.Event], Iterator[Delta]]) -> None:
        try:
            for delta in work(self._cancelled):
                self._results.put(delta)
            self._results.put(_END)
        except BaseException as error:  # whoever waits has to hear of it
            self._results.put(error)

    def __iter__(self) -> Call:
        return self

    def __next__(self) -> Delta:
        result = self._results.get() if self._over is None else self._over
        if isinstance(result, Delta):
            return result
        self._over = result
        if isinstance(result, BaseException):
            raise result
        raise StopIteration

    def close(self) -> None:
        """Stop waiting: whoever does gets Cancelled, after what is there already."""
        self._cancelled.set()
        self._results.put(Cancelled("The request was cancelled."))


def runtime_client(model: BedrockModel) -> Any:
    """A boto3 client of bedrock-runtime for this model. Raises ServiceError."""
    import boto3
    from botocore.config import Config

    # A region that is part of the ARN is the only one where the model is.
    region = model.region or region_of(model.arn) or None
    try:
        session = boto3.Session(profile_name=model.profile or None, region_name=region)
        return session.client(
            "bedrock-runtime",
            endpoint_url=model.endpoint or None,
            config=Config(
                retries={"total_max_attempts": 4, "mode": "standard"},
                read_timeout=300,
                connect_timeout=10,
                tcp_keepalive=True,
            ),
        )
    except Exception as error:
        raise in_words(error) from error


def region_of(arn: str) -> str:
    """The region in an ARN, "" if there is none."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 and parts[0] == "arn" else ""
