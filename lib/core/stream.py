"""Streaming: the deltas an engine yields, and the fold that turns them into completions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lib.core.answer_parser import without_opening
from lib.core.completion import Completion, StopReason, Timing
from lib.core.tokens import NO_TOKENS, Tokens, concatenate


@dataclass(frozen=True)
class End:
    """What is only known once a sample has ended."""

    stop_reason: str | None  # a `StopReason` or the service's own word; None if not reported
    timing: Timing = field(default=Timing())
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delta:
    """One step of a stream. `fold` turns all of them into completions."""

    sample: int  # index of the sample, 0 to n - 1
    start: Completion | None = None  # the completion without an answer; the first delta of each sample
    generated: Tokens | None = None  # new tokens
    text: str = ""  # new answer text
    end: End | None = None  # the last delta of each sample
    whole: Completion | None = None  # a completion that arrived in one piece, instead of all the above


class Fold:
    """Collects deltas into completions, which can be read at any time.

    A sample that has not ended has the stop reason `StopReason.INCOMPLETE`.
    """

    def __init__(self) -> None:
        self._wholes: dict[int, Completion] = {}
        self._starts: dict[int, Completion] = {}
        self._tokens: dict[int, list[Tokens]] = {}
        self._texts: dict[int, list[str]] = {}
        self._ends: dict[int, End] = {}

    def add(self, delta: Delta) -> None:
        """Take the next delta. Raises ValueError if its sample was never started."""
        if delta.whole is not None:
            self._wholes[delta.sample] = delta.whole
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
        """The samples in order, each as complete as the deltas so far make it."""
        return tuple(self.by_sample().values())

    def by_sample(self) -> dict[int, Completion]:
        """The same by the index of their sample, in order. Samples that were not started are missing."""
        return {sample: self._completion(sample) for sample in sorted({*self._starts, *self._wholes})}

    def _completion(self, sample: int) -> Completion:
        if sample in self._wholes:
            return self._wholes[sample]
        # Keep the concatenated parts, so the next call only has to add the new tokens.
        parts, texts = self._tokens[sample], self._texts[sample]
        if len(parts) > 1:
            parts[:] = [concatenate(parts)]
        texts[:] = ["".join(texts)]
        end, start = self._ends.get(sample, End(StopReason.INCOMPLETE)), self._starts[sample]
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
    """Return all completions of a stream."""
    collected = Fold()
    for delta in deltas:
        collected.add(delta)
    return collected.completions()
