"""The container format: its documented layout, and dtypes it accepts."""

from __future__ import annotations

import numpy as np
import pytest

from lib.core.columnar import narrow, pack, unpack, widen
from tests.support.columnar import read_by_spec
from tests.support.strategies import NAN


@pytest.mark.parametrize("rows", [1, 254, 255, 256, 65_534, 65_535, 65_536, 2**31 - 1])
def test_narrow_keeps_missing_apart_from_the_last_row(rows: int) -> None:
    refs = np.array([-1, 0, rows - 1], np.int32)
    assert widen(narrow(refs, rows)).tolist() == refs.tolist()
    assert widen(narrow(refs, rows)).dtype == np.int32


def test_the_layout_is_the_documented_one() -> None:
    given_columns = {
        "bytes": np.arange(3, dtype=np.uint8),
        "wide": np.array([[1, -2], [3, -4]], ">i4"),  # stored little-endian all the same
        "floats": np.array([0.5, -0.0]),
        "none": np.zeros((0, 4), np.float32),
        "short": np.array([65535], np.uint16),
    }
    header, columns = read_by_spec(pack("test", {"a": [1, "é"]}, given_columns))
    assert (header["kind"], header["meta"]) == ("test", {"a": [1, "é"]})
    assert columns == {"bytes": (0, 1, 2), "wide": (1, -2, 3, -4), "floats": (0.5, -0.0), "none": (), "short": (65535,)}
    shapes = {name: shape for name, _, shape, _, _ in header["columns"]}
    assert shapes == {"bytes": [3], "wide": [2, 2], "floats": [2], "none": [0, 4], "short": [1]}


def test_columns_are_read_only_views() -> None:
    _, columns = unpack(pack("test", None, {"a": np.arange(3, dtype=np.uint8)}), "test")
    assert columns["a"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        columns["a"][0] = 1


def test_numbers_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        pack("test", {"a": NAN}, {})


@pytest.mark.parametrize("dtype", [np.int64, np.float16, bool, np.int8, object])
def test_a_dtype_without_a_packed_form_is_refused(dtype: type) -> None:
    with pytest.raises(ValueError, match="column a has dtype"):
        pack("test", None, {"a": np.zeros(1, dtype)})
