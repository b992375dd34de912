"""What the page says about a stopped batch."""

from __future__ import annotations

from dataclasses import replace

from components.jobs.progress import where_it_stopped
from lib.jobs.batch import Batch, Outcome, State
from tests.support.strategies import completion_of, tokens_of

WHOLE = completion_of(tokens_of("a"), tokens_of("b"), text="b")
CUT = replace(WHOLE, stop_reason="cancelled")


def batch(*outcomes: Outcome) -> Batch:
    return Batch(outcomes)


def test_what_is_missing_is_counted() -> None:
    done, cut, left = Outcome(State.DONE, WHOLE), Outcome(State.DONE, CUT), Outcome(State.NOT_STARTED)
    assert where_it_stopped(batch(done, done)) == ""
    assert where_it_stopped(batch(done, cut)) == "Stopped: 1 incomplete."
    assert where_it_stopped(batch(cut, cut, left)) == "Stopped: 2 incomplete, 1 missing."
    assert where_it_stopped(batch(done, left, left)) == "Stopped: 2 missing."
