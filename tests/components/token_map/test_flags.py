"""The threshold as the browser reports it, which may be anything, and the frames of maps with flags."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.token_map.flags import checked_threshold, flag_part
from lib.display.flag_columns import packed_flags
from lib.display.token_map_view import TokenMapView
from tests.e2e.apps.flags_app import answer

DONE, FLAGS = answer()
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.sampled_from(["value", "scale", "x"]), inner)),
    max_leaves=6,
)


@pytest.mark.parametrize("value", [0, 4.5, -2.0])
def test_the_readers_threshold_is_used(value: float) -> None:
    assert checked_threshold({"value": value, "scale": FLAGS.scale}, FLAGS) == value


@pytest.mark.parametrize("value", [True, "4", None, math.nan, math.inf, 10**400, [4.0]])
def test_what_is_no_number_is_ignored(value: Any) -> None:
    assert checked_threshold({"value": value, "scale": FLAGS.scale}, FLAGS) == FLAGS.threshold


@pytest.mark.parametrize("scale", [FLAGS.scale + 1, float(FLAGS.scale), None, True])
def test_a_threshold_of_another_scale_is_ignored(scale: Any) -> None:
    assert checked_threshold({"value": 4.5, "scale": scale}, FLAGS) == FLAGS.threshold


@given(JSON)
def test_anything_may_come(chosen: Any) -> None:
    assert math.isfinite(checked_threshold(chosen, FLAGS))


def test_the_part_follows_the_view_and_is_announced() -> None:
    view = TokenMapView(DONE)
    part, about = flag_part(view, FLAGS)
    assert part == packed_flags(view, FLAGS)
    assert about["flags"][0] == len(part)
    assert len(view.packed()) % 8 == 0  # so that the browser's columns of the part are aligned
    assert flag_part(view, None) == (b"", {})


def test_the_last_frame_is_used_again_only_for_the_same_flags() -> None:
    view = TokenMapView(DONE)
    packed = view.packed()
    first = view.framed(packed, b"a", lambda: b"first")
    assert view.framed(packed, bytes([97]), lambda: b"second") is first
    assert view.framed(packed, b"b", lambda: b"third") == b"third"
