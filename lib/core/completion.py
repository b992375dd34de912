"""The completion: what every engine returns and every page and score reads."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum

from lib.core.pieces import Pieces
from lib.core.request import Request
from lib.core.tokens import Tokens, on_one_table


class StopReason(StrEnum):
    """Why an answer ended. The values are stored."""

    STOP = "stop"  # a stop token or a stop string
    LENGTH = "length"  # the token limit
    CANCELLED = "cancelled"  # stopped by the user
    INCOMPLETE = "incomplete"  # the stream broke off


class Scale(StrEnum):
    """Which distribution the logprobs come from. The values are stored."""

    RAW = "raw"  # log-softmax of the unmodified logits
    PROCESSED = "processed"  # after temperature and other sampling settings
    UNKNOWN = "unknown"


class Origin(StrEnum):
    """Where the answer's text comes from. The values are stored."""

    GENERATED = "generated"  # sampled by the model
    SCORED = "scored"  # supplied and only scored (teacher forcing)


@dataclass(frozen=True)
class Timing:
    """Seconds since the request was submitted; None if not measured."""

    queued: float | None = None  # until the model started on it
    first_token: float | None = None  # until the first generated token
    total: float | None = None


@dataclass(frozen=True)
class Completion:
    """One answer of a model: the prompt as tokenized, the generated tokens, and their scores.

    `==` compares bit patterns and ignores timing, warnings and provenance; `identical` includes them.
    """

    request: Request | None  # None for a saved response that came without its request
    model: str
    prompt: Tokens  # row 0 is unscored, as nothing precedes it
    generated: Tokens  # shares one canonical piece table with `prompt`
    text: str  # the answer as returned, without its stop token
    stop_reason: str | None = None  # a `StopReason` or the service's own word; None if unknown
    scale: Scale = Scale.RAW
    origin: Origin = Origin.GENERATED
    chosen_by: str = "engine"  # how the chosen token was told from its alternatives; "engine": it was reported
    overlap: int = 0  # bytes of the first generated token that belong to the prompt, if it straddles both
    vocabulary_size: int | None = None  # tokens the model chooses from; None if unknown
    timing: Timing = field(default=Timing(), compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)
    provenance: tuple[tuple[str, str], ...] = field(default=(), compare=False)  # (what, version or fingerprint)

    __hash__ = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        prompt, generated = on_one_table([self.prompt, self.generated])
        object.__setattr__(self, "prompt", prompt)
        object.__setattr__(self, "generated", generated)

    @property
    def pieces(self) -> Pieces:
        """The piece table shared by prompt and generated tokens."""
        return self.prompt.pieces

    @property
    def ended(self) -> str:
        """How the answer ended: `stop_reason`, "stop string" if one ended it, "" if nothing was generated."""
        if not len(self.generated):
            return ""
        special = bool(self.pieces.special[self.generated.refs[-1]]) and self.generated.refs[-1] >= 0
        if self.stop_reason == StopReason.STOP and self.request is not None and self.request.stop and not special:
            return "stop string"
        return self.stop_reason or ""

    @property
    def weights(self) -> str:
        """The fingerprint of the model's weights; "" if the engine does not report it."""
        return dict(self.provenance).get("weights", "")

    def identical(self, other: Completion) -> bool:
        """Whether everything is equal, timing, warnings and provenance included."""
        return self == other and all(
            getattr(self, each.name) == getattr(other, each.name) for each in fields(self) if not each.compare
        )
