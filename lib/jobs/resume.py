"""What is known already: the answers of an earlier batch, found again by the keys of their calls."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence

from lib.core.sources import Source
from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.call import Call, answer_alone
from lib.jobs.plan import places_of


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


def of_the_same_weights(calls: Sequence[Call], batch: Batch, weights_of: Callable[[Source], str | None]) -> Batch:
    """The outcomes of these calls without those from other weights than each model has now.

    weights_of: the fingerprint of a model's weights, "" if its name says it, None if the model can't be opened. Only
    asked if the model has to answer anything: a batch without a gap remains as it is.
    """
    sources = [calls[number].source for number in places_of(calls)]
    paired = list(zip(sources, batch.outcomes, strict=True))
    now = {source: weights_of(source) for source in {source for source, each in paired if each.state is not State.DONE}}

    def other(source: Source, outcome: Outcome) -> bool:
        return now.get(source) is not None and outcome.completion is not None and (
            outcome.completion.weights != now[source]
        )  # fmt: skip

    return Batch(tuple(Outcome() if other(source, each) else each for source, each in paired))


def _answer_keys(calls: Sequence[Call]) -> Iterator[str]:
    return (answer_alone(call, number).key for call in calls for number in range(call.answers))


def _incomplete(outcome: Outcome) -> bool:
    return outcome.state is not State.DONE
