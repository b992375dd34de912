"""What a full answer from the kept passages takes, against one from all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lib.core.completion import Completion
from lib.jobs.batch import Batch, State
from lib.studies.contexts import ALL, KEPT, ContextsPlan
from lib.studies.contexts_outcome import Scored, passages_of, scoring_answers, with_ranking


@dataclass(frozen=True)
class Pace:
    """How fast the scoring calls read their prompts, all of them together."""

    tokens: int  # of all prompts
    seconds: float  # until the last prompt was read, or its call had ended

    def seconds_of(self, tokens: int) -> float:
        """Seconds to read that many tokens at this pace."""
        return tokens * self.seconds / self.tokens


@dataclass(frozen=True)
class AnswerCosts:
    """What two full answers read, and at which pace that may be."""

    kept: int  # tokens of the prompt with the kept passages that fit into the context; 0 if none is kept
    everything: int  # tokens of the prompt with all passages that fit into the context
    pace: Pace | None  # None if no scoring call reported its time
    calls: tuple[float, ...]  # seconds that each scoring call took once it was its turn, where that is known


def answer_costs(plan: ContextsPlan, scored: Scored, batch: Batch) -> AnswerCosts:
    """What the answers of a plan read. scored, batch: as far as they are known."""
    scored = with_ranking(plan, scored)
    kept, everything = (_read(scored, passages_of(plan, name, scored)) for name in (KEPT, ALL))
    # The first calls alone, as later ones may have been made at another time: of all passages, side by side.
    count = min(len(plan.passages), scoring_answers(plan))
    done = [each.completion for each in batch.outcomes[:count] if each.completion and each.state is State.DONE]
    times = (each.timing for each in done)
    return AnswerCosts(
        kept if passages_of(plan, KEPT, scored) else 0,
        everything,
        pace_of(done),
        tuple(each.total - (each.queued or 0.0) for each in times if each.total is not None),
    )


def _read(scored: Scored, places: tuple[int, ...]) -> int:
    return scored.frame + sum(scored.tokens[place] for place in places)


def pace_of(completions: Iterable[Completion]) -> Pace | None:
    """How fast prompts of calls that ran side by side were read; None if that was not measured."""
    tokens, seconds = 0, 0.0
    for each in completions:
        took = each.timing.total if each.timing.first_token is None else each.timing.first_token
        if took is not None and len(each.prompt):
            tokens, seconds = tokens + len(each.prompt), max(seconds, took)
    return Pace(tokens, seconds) if tokens and seconds > 0 else None
