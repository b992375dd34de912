"""What is known already: the answers of an earlier batch, found again by the keys of their calls."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.call import Call, answer_alone


class KnownAnswers:
    """The outcomes of earlier calls by the key of each answer, so that calls which have changed place find theirs.

    Answers with equal keys, such as samples without a seed, are interchangeable.
    """

    def __init__(self, calls: Sequence[Call] = (), batch: Batch | None = None) -> None:
        """batch: the outcomes of these calls so far; it may have fewer."""
        self._by_key: dict[str, deque[Outcome]] = defaultdict(deque)
        if batch is not None:
            for key, outcome in zip(_answer_keys(calls), batch.outcomes, strict=False):
                self._by_key[key].append(outcome)
        for outcomes in self._by_key.values():  # of interchangeable answers, those that are done come first
            outcomes.extend(sorted((outcomes.popleft() for _ in range(len(outcomes))), key=_incomplete))

    def take(self, calls: Sequence[Call]) -> Batch | None:
        """The outcomes of these calls, as far as they are known, each given away once; None if none is."""
        if not self._by_key:
            return None
        keys = _answer_keys(calls)
        return Batch(tuple(self._by_key[key].popleft() if self._by_key.get(key) else Outcome() for key in keys))


def _answer_keys(calls: Sequence[Call]) -> Iterator[str]:
    return (answer_alone(call, number).key for call in calls for number in range(call.answers))


def _incomplete(outcome: Outcome) -> bool:
    return outcome.state is not State.DONE
