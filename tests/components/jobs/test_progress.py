"""What the page says about a stopped batch."""

from __future__ import annotations

from dataclasses import replace

from components.jobs.progress import where_it_stopped
from lib.core.completion import Completion
from lib.jobs.batch import Many, Outcome, State
from tests.support.strategies import completion_of, tokens_of

WHOLE = completion_of(tokens_of("a"), tokens_of("b"), text="b")
CUT = replace(WHOLE, stop_reason="cancelled")


def many(*outcomes: Outcome[Completion]) -> Many[Completion]:
    return Many(outcomes)


def test_what_is_missing_is_counted() -> None:
    done, cut, left = Outcome(State.DONE, WHOLE), Outcome(State.DONE, CUT), Outcome[Completion](State.NOT_STARTED)
    assert where_it_stopped(many(done, done)) == ""
    assert where_it_stopped(many(done, cut)) == "Stopped: 1 incomplete."
    assert where_it_stopped(many(cut, cut, left)) == "Stopped: 2 incomplete, 1 missing."
    assert where_it_stopped(many(done, left, left)) == "Stopped: 2 missing."
