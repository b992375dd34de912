"""Two orders of one product: the same numbers, and the faster of them once both were tried."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lib.local import products
from lib.local.products import Orders, use_either_order


def model(*layers: Any, dtype: torch.dtype = torch.float32) -> Any:
    made = torch.nn.Sequential(*layers).to(dtype)
    made.device, made.dtype = torch.device("cpu"), dtype
    use_either_order(made)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    state = SimpleNamespace(now=0.0)
    monkeypatch.setattr(products, "time", SimpleNamespace(perf_counter=lambda: state.now))
    return state


def passed(orders: Orders, rows: int, clock: SimpleNamespace, *, usual: float, turned: float) -> bool:
    """One pass that takes as long as its order does; returns whether it was turned."""
    with orders.fastest(rows):
        was = bool(products._now.turned)
        clock.now += turned if was else usual
    return was


@pytest.mark.parametrize(("usual", "turned", "faster"), [(1.0, 2.0, False), (2.0, 1.0, True)])
def test_both_are_tried_and_the_faster_is_kept(
    clock: SimpleNamespace, usual: float, turned: float, faster: bool
) -> None:
    orders = Orders(model(torch.nn.Linear(2, 2)))
    first = [passed(orders, 8, clock, usual=usual, turned=turned) for _ in range(6)]
    assert sorted(first) == [False] * 3 + [True] * 3
    # What happens to one pass later on changes nothing.
    assert [passed(orders, rows, clock, usual=9.0, turned=9.0) for rows in (5, 8, 7)] == [faster] * 3
    assert not getattr(products._now, "turned", False)


def test_sizes_are_tried_apart_and_other_ones_not_at_all(clock: SimpleNamespace) -> None:
    orders = Orders(model(torch.nn.Linear(2, 2)))
    for _ in range(6):
        passed(orders, 8, clock, usual=2.0, turned=1.0)
    assert [passed(orders, 16, clock, usual=1.0, turned=2.0) for _ in range(2)] == [False, True]
    products._now.turned = False
    for rows in (1, 2, 65):
        assert not any(passed(orders, rows, clock, usual=1.0, turned=0.0) for _ in range(8))


def test_a_pass_that_fails_is_no_trial(clock: SimpleNamespace) -> None:
    orders = Orders(model(torch.nn.Linear(2, 2)))
    with pytest.raises(RuntimeError), orders.fastest(4):
        raise RuntimeError
    assert not products._now.turned
    assert orders._taken[2] == ([], [])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(5, 1, 7), (1, 5, 7), (2, 3, 7), (6, 7)])
def test_the_numbers_are_the_same(bias: bool, shape: tuple[int, ...]) -> None:
    made = model(torch.nn.Linear(7, 11, bias=bias))
    rows = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        usual = made(rows)
        products._now.turned = True
        turned = made(rows)
        products._now.turned = False
    assert turned.shape == usual.shape == (*shape[:-1], 11)
    torch.testing.assert_close(turned, usual)


def test_other_types_stay_as_they_are() -> None:
    made = model(torch.nn.Linear(7, 11), dtype=torch.bfloat16)
    assert "forward" not in vars(made[0])
    with Orders(made).fastest(8):
        assert not getattr(products._now, "turned", False)
