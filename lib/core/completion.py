"""The narrow waist: every engine yields a `Completion`, every page and score reads only that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace

from lib.core.answer_parser import without_opening
from lib.core.pieces import Pieces
from lib.core.request import Request
from lib.core.tokens import NO_TOKENS, Tokens, concatenate, on_one_table


@dataclass(frozen=True)
class Timing:
    """Seconds from the moment the request was handed in. None where not measured."""

    queued: float | None = None  # until the model began to work on it
    first_token: float | None = None  # until the first generated token
    total: float | None = None


@dataclass(frozen=True)
class Completion:
    """One answer of a model: the prompt as it read it, the tokens it wrote, and how sure it was of each.

    request: None for a saved response whose request was not kept.
    prompt, generated: share one canonical piece table. Row 0 of the prompt is unscored, as nothing precedes it.
    text: the answer as returned, without its stop token.
    stop_reason: "stop", "length", "cancelled", "incomplete" (a stream that broke off), or None where unknown.
    scale: "raw" (log-softmax of the logits as they are), "processed" (after temperature and the like) or "unknown".
    origin: "generated", or "scored" where the text was given and only scored (teacher forcing).
    chosen_by: how the chosen token of a position was told from its alternatives; "engine" where it was never in doubt.
    overlap: bytes of the first generated token that belong to the prompt, where one token straddles the two.
    vocabulary_size: how many tokens the model chooses from; None where unknown.

    `==` compares bit patterns and leaves out timing, warnings and provenance; `identical` includes them.
    """

    request: Request | None
    model: str
    prompt: Tokens
    generated: Tokens
    text: str
    stop_reason: str | None = None
    scale: str = "raw"
    origin: str = "generated"
    chosen_by: str = "engine"
    overlap: int = 0
    vocabulary_size: int | None = None
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
        """The one piece table of prompt and generated tokens."""
        return self.prompt.pieces

    @property
    def ended(self) -> str:
        """How the answer ended: as `stop_reason`, "stop string" where one ended it, "" where it had none to end."""
        if not len(self.generated):
            return ""
        special = bool(self.pieces.special[self.generated.refs[-1]]) and self.generated.refs[-1] >= 0
        if self.stop_reason == "stop" and self.request is not None and self.request.stop and not special:
            return "stop string"
        return self.stop_reason or ""

    def identical(self, other: Completion) -> bool:
        """Equal in everything, timing, warnings and provenance included."""
        return self == other and all(
            getattr(self, each.name) == getattr(other, each.name) for each in fields(self) if not each.compare
        )


@dataclass(frozen=True)
class End:
    """What is known only once a sample is over. stop_reason: None where nobody says it."""

    stop_reason: str | None
    timing: Timing = Timing()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delta:
    """A step of a stream; folding all of them gives its completions.

    sample: which of the n samples it belongs to. start: the completion without its answer (the prompt and its scores
    are in it), sent once per sample before anything else. generated: new tokens. text: new answer text. end: sent
    once, when the sample is over. whole: a completion that came in one piece, in the place of all these. note: what is
    being waited for, in words; no part of the answer.
    """

    sample: int
    start: Completion | None = None
    generated: Tokens | None = None
    text: str = ""
    end: End | None = None
    whole: Completion | None = None
    note: str = ""


class Fold:
    """Collects deltas; `completions()` may be asked at any time, for what has come so far.

    A sample whose end has not come has stop_reason "incomplete".
    """

    def __init__(self) -> None:
        self._wholes: dict[int, Completion] = {}
        self._starts: dict[int, Completion] = {}
        self._tokens: dict[int, list[Tokens]] = {}
        self._texts: dict[int, list[str]] = {}
        self._ends: dict[int, End] = {}

    def add(self, delta: Delta) -> None:
        """Take the next delta. Raises ValueError when its sample was never started."""
        if delta.whole is not None:
            self._wholes[delta.sample] = delta.whole
        if delta.whole is not None or delta.note:
            return
        if delta.start is not None:
            self._starts[delta.sample] = delta.start
            self._tokens[delta.sample] = []
            self._texts[delta.sample] = []
            self._ends.pop(delta.sample, None)
        if delta.sample not in self._starts:
            raise ValueError(f"sample {delta.sample} was never started")
        if delta.generated is not None:
            self._tokens[delta.sample].append(delta.generated)
        if delta.text:
            self._texts[delta.sample].append(delta.text)
        if delta.end is not None:
            self._ends[delta.sample] = delta.end

    def completions(self) -> tuple[Completion, ...]:
        """The samples in order, each as far as it has come."""
        return tuple(self._completion(sample) for sample in sorted({*self._starts, *self._wholes}))

    def _completion(self, sample: int) -> Completion:
        if sample in self._wholes:
            return self._wholes[sample]
        # Joined parts replace their list, so that asking again after one more token does not start from scratch.
        parts, texts = self._tokens[sample], self._texts[sample]
        if len(parts) > 1:
            parts[:] = [concatenate(parts)]
        texts[:] = ["".join(texts)]
        end, start = self._ends.get(sample, End("incomplete")), self._starts[sample]
        generated = parts[0] if parts else NO_TOKENS
        return replace(
            start,
            generated=without_opening(generated) if sample in self._ends else generated,
            text=texts[0],
            stop_reason=end.stop_reason,
            timing=end.timing,
            warnings=start.warnings + end.warnings,
        )


def fold(deltas: Iterable[Delta]) -> tuple[Completion, ...]:
    """All samples of a stream."""
    collected = Fold()
    for delta in deltas:
        collected.add(delta)
    return collected.completions()
