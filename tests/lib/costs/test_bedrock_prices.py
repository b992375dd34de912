from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.costs.bedrock_prices import WINDOW, BillingWindows, Units, usual_rate, window_price
from lib.costs.ledger import Caps, Ledger, ledger_for
from lib.errors import CapReached, InvalidRequest

ARN, OTHER = "arn:one", "arn:other"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_example_of_the_pricing_page() -> None:
    assert window_price(Units(2, "v1.0"), rate=0.0785) == pytest.approx(0.785)
    assert window_price(Units(1, "v1.0")) == pytest.approx(0.2859)
    assert usual_rate("v2.0") == 0.1433
    assert usual_rate("v9.9") == usual_rate("v1.0")


@pytest.mark.parametrize(
    ("calls", "windows"),
    [
        ([(0, 1)], 1),
        ([(0, 1), (299, 299.5)], 1),
        ([(0, 1), (299, 301)], 2),
        ([(0, 1), (300, 301)], 2),
        ([(0, 1), (5000, 5001)], 2),
        ([(0, 901)], 4),
        ([(0, 1), (150, 151), (310, 311), (590, 611)], 3),
    ],
)
def test_windows_run_from_the_first_answer(calls: list[tuple[float, float]], windows: int) -> None:
    found = BillingWindows()
    for began, ended in calls:
        found = found.with_call(began, ended)
    assert found.number == windows


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 2000)), max_size=30))
def test_windows_cover_every_call_and_no_more_than_needed(calls: list[tuple[float, float]]) -> None:
    found, busy = BillingWindows(), 0.0
    for began, length in sorted(calls):
        found = found.with_call(began, began + length)
        busy += length
        assert found.until >= began + length
    assert found.number <= len(calls) + busy / WINDOW
    assert (found.number > 0) is bool(calls)


def call(ledger: Ledger, clock: Clock, arn: str = ARN, seconds: float = 1.0) -> None:
    with ledger.call(arn) as made:
        made.answered()
        clock.now += seconds


def test_a_bill() -> None:
    clock = Clock()
    ledger = Ledger(clock=clock)
    ledger.set_units(ARN, Units(2, "v1.0", known=True))
    call(ledger, clock)
    call(ledger, clock)
    clock.now += 1000
    call(ledger, clock)
    call(ledger, clock, OTHER)
    assert ledger.bills[ARN].calls == 3
    assert ledger.bills[ARN].windows == 2
    assert ledger.bills[ARN].dollars == pytest.approx(2 * 2 * 5 * 0.05718)
    assert not ledger.bills[OTHER].units.known
    assert ledger.calls == 4
    assert ledger.dollars == pytest.approx(5 * 5 * 0.05718)
    ledger.rate = 0.1
    assert ledger.dollars == pytest.approx(5 * 5 * 0.1)


def test_the_cap_in_calls() -> None:
    clock = Clock()
    ledger = Ledger(Caps(calls=2), clock=clock)
    assert ledger.calls_left == 2
    call(ledger, clock)
    with ledger.call(ARN), pytest.raises(CapReached, match="cap of 2 calls"), ledger.call(ARN):
        pytest.fail("one was done and one is under way")
    with ledger.call(ARN):
        assert ledger.calls_left == 0
    call(ledger, clock)  # the one that was under way was not answered
    with pytest.raises(CapReached), ledger.call(ARN):
        pytest.fail("two were answered")


def test_the_cap_in_money_allows_what_a_window_has_paid_for() -> None:
    clock = Clock()
    ledger = Ledger(Caps(dollars=0.30), clock=clock)
    for _ in range(10):
        call(ledger, clock)
    with pytest.raises(CapReached, match=r"cap of 0\.30 US dollars"), ledger.call(OTHER):
        pytest.fail("another model opens another window")
    clock.now += WINDOW
    with pytest.raises(CapReached), ledger.call(ARN):
        pytest.fail("that would be the second window")
    ledger.caps = Caps(dollars=0.60)
    call(ledger, clock)


def test_calls_at_once_cannot_slip_through() -> None:
    ledger, allowed, refused = Ledger(Caps(calls=20)), [], []
    all_tried = threading.Barrier(60, timeout=60)

    def ask() -> None:
        try:
            with ledger.call(ARN) as made:
                all_tried.wait()
                made.answered()
                allowed.append(1)
        except CapReached:
            all_tried.wait()
            refused.append(1)

    threads = [threading.Thread(target=ask) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(allowed) == ledger.calls == 20
    assert len(refused) == 40


def test_caps_from_the_environment() -> None:
    ledger = ledger_for({"CANDOR_MAX_CALLS": "5", "CANDOR_MAX_DOLLARS": "1.5", "CANDOR_CMU_RATE": "0.07"})
    assert ledger.caps == Caps(5, 1.5)
    assert ledger.rate == 0.07
    assert ledger_for({}).caps == Caps()
    for name in ("CANDOR_MAX_CALLS", "CANDOR_MAX_DOLLARS", "CANDOR_CMU_RATE"):
        for text in ("many", "-1", "nan", "inf"):
            with pytest.raises(InvalidRequest, match=name):
                ledger_for({name: text})
    with pytest.raises(InvalidRequest):
        Caps(calls=-1)
