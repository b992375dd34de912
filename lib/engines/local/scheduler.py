"""One model, many callers: short turns at the model, dealt out in order.

Work is an iterator; every `next` is one short turn at the model and gives a list of results. A single thread runs all
turns, so the model is never used twice at once. Works that have been admitted take turns one after another; works
that wait are admitted owner by owner and only a few of each, so that someone who asks for fifty does not hold up
someone who asks for one.

A work may also give a `Step`: something that the model does for many as fast as for one. All works that wait for a
step have theirs done in one turn. Of works that need turns of their own, an owner has one at a time: the prompts of
somebody's many requests are read one after another, and hold up others by no more than one.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from lib.errors import Busy, Cancelled, OutOfMemory
from lib.models.memory import gigabytes, give_back, lacks_memory

MAX_WAITING = 100
MAX_WAITING_EACH = 60  # of one owner, so that nobody fills the queue alone
MAX_ACTIVE = 16
MAX_ACTIVE_EACH = 8  # of one owner
_LARGE = 200_000_000  # bytes: after a work of that size the memory it leaves is worth giving back
_END = object()
_NUMBERS = itertools.count()

log = logging.getLogger(__name__)


class Step(Protocol):
    """What a work gives in place of a list of results when it waits for something that is done for many at once."""

    @property
    def results(self) -> list[Any]:
        """What has come since its last turn."""


Together = Callable[[Sequence[Any]], Sequence[Any]]  # steps in, what each of them waits for out


class Ticket:
    """A place in the queue: an iterator that waits for results. Whoever stops reading closes it; any thread may."""

    def __init__(self, work: Iterator[list[Any] | Any], cost: int, owner: str, scheduler: Scheduler) -> None:
        self.work, self.cost, self.owner = work, cost, owner
        self.number = next(_NUMBERS)  # in order of arrival
        self._scheduler = scheduler
        self._results: deque[Any] = deque()
        self._ready = threading.Condition()
        self._heard: Callable[[], None] | None = None
        self.step: Step | None = None  # what the work waits for
        self.cancelled = False

    def close(self) -> None:
        """Give the place up; whoever waits for a result gets Cancelled, after those that are there already."""
        if not self.cancelled:
            self.cancelled = True
            self._scheduler.wake()

    def stop(self) -> None:
        """The same: nothing here is paid for."""
        self.close()

    def give(self, *results: Any) -> None:
        """Hand results to whoever iterates."""
        with self._ready:
            self._results.extend(results)
            self._ready.notify_all()
            heard = self._heard
        if heard is not None:
            heard()

    def finish(self, error: BaseException | None = None) -> None:
        """No more results come."""
        self._scheduler.ended()  # first, so that whoever reads the last result finds the scheduler idle
        self.give(_END if error is None else error)

    @property
    def ended(self) -> bool:
        """Whether everything is there that will ever come."""
        with self._ready:
            return bool(self._results) and self._is_last(self._results[-1])

    def listen(self, heard: Callable[[], None]) -> None:
        """Have `heard` called, from the model's thread, when something has come; at once, if something is there.

        For whoever must not wait in a thread, such as an event loop. It has to be quick and must not raise.
        """
        with self._ready:
            self._heard = heard
            waiting = bool(self._results)
        if waiting:
            heard()

    def poll(self) -> list[Any]:
        """The results that are there, without waiting. Raises what the work raised once all its results are read."""
        with self._ready:
            results = []
            while self._results and not self._is_last(self._results[0]):
                results.append(self._results.popleft())
            last = self._results[0] if self._results else None
        if not results and isinstance(last, BaseException):
            raise last
        return results

    def __iter__(self) -> Ticket:
        return self

    def __next__(self) -> Any:
        with self._ready:
            while not self._results:
                self._ready.wait()
            result = self._results[0] if self._is_last(self._results[0]) else self._results.popleft()
        if result is _END:
            raise StopIteration
        if isinstance(result, BaseException):
            raise result
        return result

    @staticmethod
    def _is_last(result: Any) -> bool:
        return result is _END or isinstance(result, BaseException)


class Scheduler:
    """Deals out turns at one model.

    budget: bytes that all admitted works together may take; a work that alone would take more is refused. together:
    does the steps of several works at once; without it no work may give one.
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
                "Shorten the prompt, ask for fewer tokens, or for fewer samples at once.",
            )
        ticket = Ticket(work, cost, owner, self)
        with self._changed:
            if self._closed:
                raise Cancelled("This model has just been put away to make room for another.", "Ask again.")
            if sum(map(len, self._waiting.values())) >= MAX_WAITING:
                raise Busy("Too many requests are waiting for this model.", "Try again in a moment.")
            if len(self._waiting.get(owner, ())) >= MAX_WAITING_EACH:
                raise Busy("Too many of your requests are waiting for this model.", "Try again when some are answered.")
            self._waiting.setdefault(owner, deque()).append(ticket)
            self._unfinished += 1
            self._changed.notify()
        return ticket

    @property
    def busy(self) -> bool:
        """Whether there is work that has not ended."""
        return self._unfinished > 0

    def ended(self) -> None:
        """A ticket will get no more turns."""
        with self._changed:
            self._unfinished -= 1

    def wake(self) -> None:
        """Something may have been cancelled."""
        with self._changed:
            self._changed.notify()

    def close(self) -> None:
        """Stop after the turn under way; whoever waits gets Cancelled, and nothing more is taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (tickets := self._next()) is not None:
            staying = _joint_turn(tickets, self._together) if tickets[0].step is not None else _turn(tickets[0])
            with self._changed:
                self._active.extend(staying)
        with self._changed:
            for ticket in [*self._active, *(each for queue in self._waiting.values() for each in queue)]:
                _stop(ticket)

    def _next(self) -> list[Ticket] | None:
        """The works whose turn it is, as soon as there are any; None once closed."""
        with self._changed:
            while not self._closed:
                self._drop_cancelled()
                self._admit()
                if self._active:
                    tickets = self._whose_turn()
                    self._active = deque(each for each in self._active if each not in tickets)
                    return tickets
                self._changed.wait()
        return None

    def _whose_turn(self) -> list[Ticket]:
        """The first that may have one, and if that waits for a step, everybody else who does."""
        reading: dict[str, Ticket] = {}
        for ticket in sorted((each for each in self._active if each.step is None), key=lambda each: each.number):
            reading.setdefault(ticket.owner, ticket)
        for ticket in self._active:
            if ticket.step is not None:
                return [each for each in self._active if each.step is not None]
            if reading[ticket.owner] is ticket:
                return [ticket]
        raise AssertionError("the first ticket of every owner may have a turn")

    def _drop_cancelled(self) -> None:
        for queue in (self._active, *self._waiting.values()):
            for ticket in [each for each in queue if each.cancelled]:
                queue.remove(ticket)
                _stop(ticket)
        for owner in [owner for owner, queue in self._waiting.items() if not queue]:
            del self._waiting[owner]

    def _admit(self) -> None:
        """Admit as many as fit, one per owner and round; nobody overtakes the one whose turn it is to be admitted."""
        while len(self._active) < MAX_ACTIVE and (owner := self._next_owner()) is not None:
            queue = self._waiting[owner]
            if self._active and sum(each.cost for each in self._active) + queue[0].cost > self._budget:
                return
            self._active.append(queue.popleft())
            self._waiting.move_to_end(owner)
            if not queue:
                del self._waiting[owner]

    def _next_owner(self) -> str | None:
        """Who may have a work admitted next."""
        active = Counter(ticket.owner for ticket in self._active)
        return next((owner for owner in self._waiting if active[owner] < MAX_ACTIVE_EACH), None)


def _joint_turn(tickets: list[Ticket], together: Together | None) -> list[Ticket]:
    """One turn of works that wait for steps; returns those that have more to do."""
    try:
        if together is None:
            raise TypeError("this scheduler does no steps")
        answers = together([ticket.step for ticket in tickets])
    except BaseException as error:  # none of them can go on: some may have been done, and some not
        for ticket in tickets:
            _fail(ticket, error)
        return []
    return [each for ticket, answer in zip(tickets, answers, strict=True) for each in _turn(ticket, answer)]


def _turn(ticket: Ticket, answer: Any = None) -> list[Ticket]:
    """One turn, with what the work's last step has brought; returns the ticket if there is more to do."""
    ticket.step = None
    try:
        given = next(ticket.work) if answer is None else ticket.work.send(answer)  # type: ignore[attr-defined]
    except StopIteration:
        _tidy_up(ticket)  # first, so that whoever is told of the end finds the memory free
        ticket.finish()
        return []
    except BaseException as error:  # whoever waits for the result has to hear of it, and the thread has to live on
        _fail(ticket, error)
        return []
    if not isinstance(given, list):
        ticket.step, given = given, given.results
    if given:
        ticket.give(*given)
    return [ticket]


def _fail(ticket: Ticket, error: BaseException) -> None:
    if lacks_memory(error):
        error = OutOfMemory(
            "The model ran out of memory on this request.", "Shorten the prompt or ask for fewer samples."
        )
    _tidy_up(ticket)
    ticket.finish(error)


def _stop(ticket: Ticket) -> None:
    try:
        if (close := getattr(ticket.work, "close", None)) is not None:
            close()
    except Exception:  # the others still want their turns
        log.exception("a cancelled work could not be closed")
    _tidy_up(ticket)
    ticket.finish(Cancelled("The request was cancelled."))


def _tidy_up(ticket: Ticket) -> None:
    if ticket.cost > _LARGE:
        give_back()
