"""A plan: a page's filled-in form, which knows its calls. It is priced before it runs and stored with its run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from lib.core.sources import Source
from lib.jobs.batch import Batch
from lib.jobs.call import Call


class Plan(Protocol):
    """What a page asks: a frozen dataclass, so that it can be stored and opened again as it was.

    Its calls follow from its fields alone, which makes them the same whenever it is opened.
    """

    kind: ClassVar[str]  # its name in the database; never changes
    page: ClassVar[str]  # the page that shows it

    def calls(self) -> tuple[Call, ...]:
        """The calls to make, in order. Raises InvalidRequest if a field is invalid."""

    def title(self) -> str:
        """What to call it in history, in full."""


@runtime_checkable
class TwoStagePlan(Plan, Protocol):
    """A plan with further calls that depend on the outcome of the first ones: draft, then answer."""

    def then(self, outcome: Batch) -> tuple[Call, ...]:
        """The further calls; none if there is nothing more to ask. Always the same for the same outcome.

        outcome: of `calls`, all of which are over.
        """

    def then_at_most(self) -> tuple[Call, ...]:
        """Calls that take as much as the further ones can, by which the plan is priced before it runs."""


def priced_calls(plan: Plan) -> tuple[Call, ...]:
    """The calls by which a plan is priced before it runs. Raises InvalidRequest if a field is invalid."""
    return (*plan.calls(), *plan.then_at_most()) if isinstance(plan, TwoStagePlan) else plan.calls()


def calls_so_far(plan: Plan, batch: Batch) -> tuple[Call, ...]:
    """The calls that the outcomes of a plan belong to. Further ones are left out if the first are not all there."""
    calls = plan.calls()
    count = sum(each.answers for each in calls)
    if not isinstance(plan, TwoStagePlan) or len(batch.outcomes) <= count:
        return calls
    return (*calls, *plan.then(Batch(batch.outcomes[:count])))


@dataclass(frozen=True)
class Estimate:
    """What calls will take, known before they are made."""

    billed_calls: int  # requests to a service
    max_new_tokens: int  # the limit on new tokens of all answers together
    scored_texts: int  # answers that are scored rather than generated
    max_characters_read: int  # an upper limit on the characters that models read


def estimate(calls: Iterable[Call]) -> Estimate:
    """What the calls will take."""
    calls = tuple(calls)
    return Estimate(
        billed_calls=sum(each.answers for each in calls if each.source.billed),
        max_new_tokens=sum(each.max_new_tokens for each in calls),
        scored_texts=sum(each.answers for each in calls if each.candidates or not each.request.max_tokens),
        max_characters_read=sum(each.max_characters_read for each in calls),
    )


def places_of(calls: Iterable[Call]) -> tuple[int, ...]:
    """The number of the call that each answer belongs to."""
    return tuple(number for number, each in enumerate(calls) for _ in range(each.answers))


def models_of(calls: Iterable[Call]) -> tuple[Source, ...]:
    """The models that are called, each once."""
    return tuple(dict.fromkeys(each.source for each in calls))
