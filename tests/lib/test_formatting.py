from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import formatting
from tests.support.strategies import INF, NAN


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (1, "100.0%"),
        (0.9512, "95.1%"),
        (0.24271, "24.3%"),
        (0.1, "10.0%"),
        (0.0995, "10.0%"),
        (0.0994, "9.94%"),
        (0.004, "0.40%"),
        (0.00188, "0.19%"),
        (0.001, "0.10%"),
        (0.000874, "0.087%"),
        (0.00001, "0.001%"),
        (1e-6, "0.0001%"),
        (6.1e-07, "6.1e-07"),
        (0, "0"),
        (NAN, "–"),
    ],
)
def test_probabilities(probability: float, shown: str) -> None:
    assert formatting.percent(probability) == shown


@given(st.floats(1e-6, 1))
def test_a_shown_probability_is_right_to_two_digits(probability: float) -> None:
    shown = formatting.percent(probability)
    assert shown.endswith("%")
    assert float(shown[:-1]) / 100 == pytest.approx(probability, rel=0.051)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-1.2039, "−1.204 nats"),
        (0.7, "0.700 nats"),
        (-0.0, "0.000 nats"),
        (-0.0001, "0.000 nats"),
        (-INF, "−∞ nats"),
        (INF, "∞ nats"),
        (NAN, "–"),
    ],
)
def test_nats(value: float, shown: str) -> None:
    assert formatting.nats(value) == shown


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [(-1.5, 2, "−1.50"), (-0.004, 2, "0.00"), (2, 0, "2"), (-0.4, 0, "0"), (-1234.5, 1, "−1,234.5"), (-100, 0, "−100")],
)
def test_signed(value: float, decimals: int, shown: str) -> None:
    assert formatting.signed(value, decimals) == shown


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_decimals_are_steady_and_the_minus_true(value: float, decimals: int) -> None:
    shown = formatting.signed(value, decimals)
    assert len(shown.partition(".")[2]) == decimals
    assert "-" not in shown
    assert float(shown.replace("−", "-").replace(",", "")) == pytest.approx(value, abs=0.51 * 10**-decimals)


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.42, 0.61, "0.42 to 0.61 nats"),
        (0.42, 0.4249, "0.42 nats"),
        (0.42, INF, "at least 0.42 nats"),
        (-1e-7, -1e-8, "0.00 nats"),
        (-1e-7, INF, "at least 0.00 nats"),
        (NAN, NAN, "–"),
    ],
)
def test_brackets(low: float, high: float, shown: str) -> None:
    assert formatting.bracket(low, high) == shown


def test_counts() -> None:
    assert formatting.count(1, "token") == "1 token"
    assert formatting.count(0, "token") == "0 tokens"
    assert formatting.count(1204, "token") == "1,204 tokens"


def test_ranks() -> None:
    assert formatting.rank(1) == "1"
    assert formatting.rank(49152) == "49,152"
    assert formatting.rank(-1) == "unknown"


def test_numbers() -> None:
    assert formatting.number(1204.5, 2) == "1,204.50"
    assert formatting.number(-2.5, 1) == "−2.5"
    assert formatting.number(INF, 2) == "∞"
    assert formatting.number(-INF, 2) == "−∞"
    assert formatting.number(math.nan, 2) == "–"


def test_white_space_is_made_visible() -> None:
    assert formatting.visible(" a\tb\r\n") == "·a→b␍↵"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("K\U000e0073\U000e0061", "K‹U+E0073›‹U+E0061›"),
        ("\0\x85\u200b\ufeff", "‹U+0000›‹U+0085›‹U+200B›‹U+FEFF›"),
        ("a\u00a0b \u3164", "a‹U+00A0›b·‹U+3164›"),
        ("😀\ufe0f\U000e0101", "😀\ufe0f‹U+E0101›"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\ud800", "\ufffd"),
    ],
)
def test_what_shows_nothing_is_named(text: str, shown: str) -> None:
    assert formatting.visible(text) == shown


def test_durations() -> None:
    assert [formatting.seconds(value) for value in (0.9, 3, 59.9, 60, 125)] == [
        "0 s",
        "3 s",
        "59 s",
        "1 min 00 s",
        "2 min 05 s",
    ]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (37_100, "37.1 kB"), (1_200_000_000, "1.2 GB")]
)
def test_sizes(number: int, text: str) -> None:
    assert formatting.size(number) == text


@pytest.mark.parametrize(
    ("share", "shown"), [(1, "100%"), (0.9, "90%"), (0.995, "99.5%"), (0.99999, "99.999%"), (1e-6, "0.0001%")]
)
def test_round_shares_have_no_trailing_zeros(share: float, shown: str) -> None:
    assert formatting.exact_percent(share) == shown
