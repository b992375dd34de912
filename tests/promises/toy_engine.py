"""A whole engine: its kind of source, the engine, and its row in the registry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from lib.core.request import Request
from lib.core.sources import Source
from lib.engines.base import ALONE, CallContext, Capabilities, Unsupported
from lib.engines.registry import KINDS, Kind
from tests.support.scripted_engine import ScriptedStream, says, stream_of


@dataclass(frozen=True)
class Echo(Source):
    kind, billed, name = "echo", False, "Echo"

    @classmethod
    def named(cls, text: str) -> Self | None:
        return cls() if text == "echo:" else None


class EchoEngine:
    name = "Echo"

    def capabilities(self, *, chat: bool, ask: bool = True) -> Capabilities | Unsupported:
        return Unsupported("An echo doesn't chat.") if chat else Capabilities(scores_candidates=False)

    def stream(self, request: Request, context: CallContext = ALONE) -> ScriptedStream:
        return stream_of(says(request.last_user_text)(request) for _ in range(request.n))

    def score(self, request: Request, candidates: Sequence[str], context: CallContext = ALONE) -> tuple[()]:
        return ()

    def close(self) -> None: ...


KINDS[Echo] = Kind(lambda _, __: EchoEngine(), in_memory=False)
