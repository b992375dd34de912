"""Share one model among many callers: a single thread runs all work in short turns.

A work is an iterator; every `next` is one short turn at the model and yields a list of results. The model is never used
by two turns at once. Active works take turns in rotation. Waiting works are admitted owner by owner, only a few of
each, so that an owner with fifty requests does not hold up an owner with one.

A work may also yield a `Step`: something the model computes for many works as fast as for one. All works that wait for
a step get theirs in the same turn, as far as one turn holds them: an owner's first, then the next owner's first, and so
on. Among works that need turns of their own, each owner has one at a time: an owner's long prompts are read one after
another and delay others by at most one.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lib.engines.local.ticket import LATER, Step, Ticket
from lib.errors import Busy, Cancelled, OutOfMemory
from lib.models.memory import gigabytes, give_back, lacks_memory

__all__ = ["LARGE", "MAX_ACTIVE", "MAX_ACTIVE_EACH", "MAX_WAITING", "MAX_WAITING_EACH", "Scheduler", "Step", "Ticket"]

MAX_WAITING = 100
MAX_WAITING_EACH = 60  # per owner, so that no owner fills the queue alone
MAX_ACTIVE = 24
MAX_ACTIVE_EACH = 16  # per owner
LARGE = 200_000_000  # bytes; above that, the memory of a finished work is returned to the system

Together = Callable[[Sequence[Any]], Sequence[Any]]  # steps in; what each of them waits for out

log = logging.getLogger(__name__)


class Scheduler:
    """Runs the turns of one model.

    budget: bytes that all active works together may take; a work that alone would take more is refused.
    together: computes the steps of several works at once; None if no work yields steps.
    """

    def __init__(self, budget: int, together: Together | None = None) -> None:
        self._budget = budget
        self._together = together
        self._waiting: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._active: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._unfinished = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="candor-model", daemon=True)
        self._thread.start()

    def submit(self, work: Iterator[list[Any] | Any], *, cost: int, owner: str = "") -> Ticket:
        """Queue work that takes `cost` bytes while it runs. Raises Busy, OutOfMemory, or Cancelled once closed."""
        if cost > self._budget:
            raise OutOfMemory(
                f"This request needs about {gigabytes(cost)} of memory; {gigabytes(self._budget)} are set aside.",
                "Shorten the prompt, or request fewer tokens or fewer samples.",
            )
        ticket = Ticket(work, cost, owner, on_cancel=self._wake, on_end=self._count_down)
        with self._changed:
            if self._closed:
                raise Cancelled("This model was just unloaded to make room for another.", "Try again.")
            if sum(map(len, self._waiting.values())) >= MAX_WAITING:
                raise Busy("Too many requests are waiting for this model.", "Try again in a moment.")
            if len(self._waiting.get(owner, ())) >= MAX_WAITING_EACH:
                raise Busy("Too many of your requests are waiting for this model.", "Try again when some have ended.")
            self._waiting.setdefault(owner, deque()).append(ticket)
            self._unfinished += 1
            self._changed.notify()
        return ticket

    @property
    def busy(self) -> bool:
        """Whether there is unfinished work."""
        return self._unfinished > 0

    def close(self) -> None:
        """Stop after the current turn. Unfinished work ends with Cancelled, and new work is refused."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _count_down(self) -> None:
        with self._changed:
            self._unfinished -= 1

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        while (tickets := self._next()) is not None:
            staying = _joint_turn(tickets, self._together) if tickets[0].step is not None else _turn(tickets[0])
            with self._changed:
                self._active.extend(staying)
        with self._changed:
            for ticket in [*self._active, *(each for queue in self._waiting.values() for each in queue)]:
                _stop(ticket)

    def _next(self) -> list[Ticket] | None:
        """Wait for the works whose turn it is; None once closed."""
        with self._changed:
            while not self._closed:
                self._drop_cancelled()
                self._admit()
                if self._active:
                    tickets = self._pick()
                    self._active = deque(each for each in self._active if each not in tickets)
                    return tickets
                self._changed.wait()
        return None

    def _pick(self) -> list[Ticket]:
        """The first work that may take a turn; if it waits for a step, all works that do."""
        reading: dict[str, Ticket] = {}
        for ticket in sorted((each for each in self._active if each.step is None), key=lambda each: each.number):
            reading.setdefault(ticket.owner, ticket)
        for ticket in self._active:
            if ticket.step is not None:
                return _by_turns([each for each in self._active if each.step is not None])
            if reading[ticket.owner] is ticket:
                return [ticket]
        raise AssertionError("the first ticket of every owner may take a turn")

    def _drop_cancelled(self) -> None:
        for queue in (self._active, *self._waiting.values()):
            for ticket in [each for each in queue if each.cancelled]:
                queue.remove(ticket)
                _stop(ticket)
        for owner in [owner for owner, queue in self._waiting.items() if not queue]:
            del self._waiting[owner]

    def _admit(self) -> None:
        """Admit as many works as fit, one per owner and round. No work overtakes the next one in line."""
        while len(self._active) < MAX_ACTIVE and (owner := self._next_owner()) is not None:
            queue = self._waiting[owner]
            if self._active and sum(each.cost for each in self._active) + queue[0].cost > self._budget:
                return
            self._active.append(queue.popleft())
            self._waiting.move_to_end(owner)
            if not queue:
                del self._waiting[owner]

    def _next_owner(self) -> str | None:
        """The owner whose work is admitted next; None if all have reached their limit."""
        active = Counter(ticket.owner for ticket in self._active)
        return next((owner for owner in self._waiting if active[owner] < MAX_ACTIVE_EACH), None)


def _joint_turn(tickets: list[Ticket], together: Together | None) -> list[Ticket]:
    """Run one turn of all works that wait for steps; returns those that have more to do."""
    try:
        if together is None:
            raise TypeError("this scheduler computes no steps")
        answers = together([ticket.step for ticket in tickets])
    except BaseException as error:  # some steps may have been computed and others not, so none can continue
        for ticket in tickets:
            _fail(ticket, error)
        return []
    staying = []
    for ticket, answer in zip(tickets, answers, strict=True):
        staying += [ticket] if answer is LATER else _turn(ticket, answer)
    return staying


def _by_turns(tickets: Sequence[Ticket]) -> list[Ticket]:
    """The tickets in the order of their submission, each owner's first ones before any owner's second ones."""
    seen: Counter[str] = Counter()
    ranked = []
    for ticket in sorted(tickets, key=lambda each: each.number):
        ranked.append((seen[ticket.owner], ticket.number, ticket))
        seen[ticket.owner] += 1
    return [ticket for *_, ticket in sorted(ranked, key=lambda each: each[:2])]


def _turn(ticket: Ticket, answer: Any = None) -> list[Ticket]:
    """Run one turn, with the answer to the work's last step; returns the ticket if there is more to do."""
    ticket.step = None
    try:
        output = next(ticket.work) if answer is None else ticket.work.send(answer)  # type: ignore[attr-defined]
    except StopIteration:
        _tidy_up(ticket)  # first, so that the memory is free when the reader learns of the end
        ticket.finish()
        return []
    except BaseException as error:  # the reader has to learn of it, and the thread has to survive
        _fail(ticket, error)
        return []
    if not isinstance(output, list):
        ticket.step, output = output, output.results
    if output:
        ticket.give(*output)
    return [ticket]


def _fail(ticket: Ticket, error: BaseException) -> None:
    if lacks_memory(error):
        error = OutOfMemory(
            "The model ran out of memory on this request.", "Shorten the prompt or request fewer samples."
        )
    _tidy_up(ticket)
    ticket.finish(error)


def _stop(ticket: Ticket) -> None:
    try:
        if (close := getattr(ticket.work, "close", None)) is not None:
            close()
    except Exception:  # the other works still need their turns
        log.exception("a cancelled work could not be closed")
    _tidy_up(ticket)
    ticket.finish(Cancelled("The request was cancelled."))


def _tidy_up(ticket: Ticket) -> None:
    if ticket.cost > LARGE:
        give_back()
