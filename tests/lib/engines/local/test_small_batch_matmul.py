"""The other order of a product: the same numbers, and only where it is the faster one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lib.engines.local import small_batch_matmul
from lib.engines.local.small_batch_matmul import reading_a_draft, use_skinny_products


def model(*layers: Any, dtype: torch.dtype = torch.float32) -> Any:
    made = torch.nn.Sequential(*layers).to(dtype)
    made.device, made.dtype = torch.device("cpu"), dtype
    use_skinny_products(made)
    return made


def turned(made: Any) -> bool:
    return "forward" in vars(made[0])


@pytest.mark.parametrize(("seconds", "faster"), [((1.0, 2.0), True), ((2.0, 1.0), False), ((0.9, 1.0), False)])
def test_it_is_tried_and_taken_where_it_saves_enough(
    monkeypatch: pytest.MonkeyPatch, seconds: tuple[float, float], faster: bool
) -> None:
    """One trial in three is slowed down by something else, which does not count."""
    taken = iter([*seconds, 9.0, 9.0, *seconds])
    monkeypatch.setattr(small_batch_matmul, "_seconds", lambda work: work() or next(taken))
    assert turned(model(torch.nn.Linear(4, 3), torch.nn.Linear(3, 4))) == faster


def test_a_trial_stops_where_there_are_weights_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_batch_matmul, "_ENOUGH", 24)
    seen: list[int] = []
    mm = torch.mm
    monkeypatch.setattr(torch, "mm", lambda *factors: seen.append(1) or mm(*factors))
    model(*[torch.nn.Linear(4, 3) for _ in range(9)])
    assert len(seen) == 2 * 2 * 3  # two layers, both orders, three times


def test_other_types_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_batch_matmul, "_is_faster", lambda _: True)
    assert not turned(model(torch.nn.Linear(7, 11), dtype=torch.bfloat16))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("shape", "draft"),
    [((5, 1, 7), False), ((1, 5, 7), True), ((1, 5, 7), False), ((2, 3, 7), False), ((1, 1, 7), True)],
)
def test_the_numbers_are_the_same(
    monkeypatch: pytest.MonkeyPatch, bias: bool, shape: tuple[int, ...], draft: bool
) -> None:
    monkeypatch.setattr(small_batch_matmul, "_is_faster", lambda _: True)
    made = model(torch.nn.Linear(7, 11, bias=bias))
    rows = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    usual = torch.nn.functional.linear(rows, made[0].weight, made[0].bias)
    if draft:
        with reading_a_draft():
            found = made(rows)
    else:
        found = made(rows)
    assert found.shape == usual.shape
    torch.testing.assert_close(found, usual)
