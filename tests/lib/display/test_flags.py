from __future__ import annotations

import numpy as np
import pytest

from lib.display.flags import Flags


def flags(presets: dict[str, float], threshold: float = 3.0, unit: str = "nats") -> Flags:
    return Flags(np.array([0], np.int32), np.array([1], np.int32), np.array([4.0]), [()], presets, threshold, unit)


@pytest.mark.parametrize(
    ("presets", "severities"),
    [
        ({"few": 9.0, "usual": 6.0, "many": 3.0}, (6.0, 9.0)),
        ({"few": 9.0, "many": 3.0}, (3.0, 9.0)),
        ({"only": 9.0}, (4.5, 6.0)),
        ({}, (4.5, 6.0)),
    ],
)
def test_higher_presets_are_more_severe(presets: dict[str, float], severities: tuple[float, float]) -> None:
    assert flags(presets).severities == severities


@pytest.mark.parametrize("threshold", [-2.0, 0.0, 0.5])
def test_severities_rise_whatever_the_threshold(threshold: float) -> None:
    clear, strong = flags({}, threshold).severities
    assert threshold < clear < strong


def test_another_unit_preset_or_threshold_is_another_scale() -> None:
    scales = [
        flags({"usual": 3.0}),
        flags({"usual": 4.0}),
        flags({"usual": 3.0}, 4.0),
        flags({"usual": 3.0}, 3.0, "bits"),
    ]
    assert len({each.scale for each in scales}) == len(scales)
    assert flags({"usual": 3.0}).scale == scales[0].scale


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one first row"):
        Flags(np.array([0], np.int32), np.array([1], np.int32), np.array([4.0]), [], {}, 3.0)
