from __future__ import annotations

import struct

import numpy as np
import pytest

from lib.core.arrays import common_prefix_length, frozen, same_bits


class SharesItsMemory:
    """Like a torch tensor: not a numpy array, but numpy shares its memory."""

    def __init__(self) -> None:
        self.memory = np.zeros(3, np.float32)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self.memory[:]


def test_frozen_arrays_cannot_be_written_to() -> None:
    array = frozen([1, 2], np.int32, (2,))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_later_writes_of_the_caller_do_not_leak_in(dtype: type) -> None:
    mine = np.zeros(3, dtype)
    theirs = frozen(mine, np.float32, (3,))
    mine[:] = 7
    assert theirs.tolist() == [0, 0, 0]


def test_writes_through_the_base_of_a_read_only_view_do_not_leak_in() -> None:
    mine = np.zeros(3, np.float32)
    view = mine[:]
    view.flags.writeable = False
    theirs = frozen(view, np.float32, (3,))
    mine[:] = 7
    assert theirs.tolist() == [0, 0, 0]


def test_writes_into_shared_memory_of_other_objects_do_not_leak_in() -> None:
    tensor, raw = SharesItsMemory(), bytearray(3)
    of_tensor, of_raw = frozen(tensor, np.float32, (3,)), frozen(memoryview(raw), np.uint8, (3,))
    of_view = frozen(np.frombuffer(memoryview(raw).toreadonly(), np.uint8), np.uint8, (3,))
    tensor.memory[:] = 7
    raw[:] = b"777"
    assert of_tensor.tolist() == of_raw.tolist() == of_view.tolist() == [0, 0, 0]


def test_the_callers_array_stays_writable() -> None:
    mine = np.zeros(3, np.float32)
    frozen(mine, np.float32, (3,))
    mine[0] = 1


def test_frozen_memory_is_shared_not_copied() -> None:
    array = frozen(np.arange(9), np.int32, (9,))
    assert np.shares_memory(frozen(array[2:5], np.int32, (3,)), array)
    raw = np.frombuffer(b"abc", np.uint8)
    assert np.shares_memory(frozen(raw, np.uint8, (3,)), raw)


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\), got \(3,\)"):
        frozen([1, 2, 3], np.int32, (2,))


def test_columns_come_out_contiguous() -> None:
    assert frozen(np.arange(10)[::2], np.int64, (5,)).tobytes() == np.array([0, 2, 4, 6, 8], np.int64).tobytes()


def test_nans_get_one_bit_pattern() -> None:
    odd = np.frombuffer(struct.pack("<2I", 0xFFC00001, 0x7FC00000), np.float32)
    plain = np.array([np.nan, np.nan], np.float32)
    assert not same_bits(odd, plain)
    assert same_bits(frozen(odd, np.float32, (2,)), plain)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (np.array([np.nan]), np.array([np.nan]), True),
        (np.array([0.0]), np.array([-0.0]), False),
        (np.array([1]), np.array([1.0]), False),
        (np.array([1, 2]), np.array([[1, 2]]), False),
        (np.zeros((0, 3)), np.zeros((0, 3)), True),
        (np.zeros((0, 3)), np.zeros((0, 2)), False),
        (np.zeros((3, 0)), np.zeros((3, 0)), True),
        (np.array(1.0), np.array(2.0), False),
        (np.arange(6).reshape(2, 3).T, np.arange(6).reshape(2, 3).T.copy(), True),
        (np.array([True]), np.array([False]), False),
    ],
)
def test_same_bits(a: np.ndarray, b: np.ndarray, same: bool) -> None:
    assert same_bits(a, b) is same
    assert same_bits(b, a) is same


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [([], [1], 0), ([1, 2], [1, 2], 2), ([1, 2], [1, 2, 3], 2), ([1, 2, 3], [1, 9, 3], 1), ([2], [1], 0)],
)
def test_the_common_prefix(first: list[int], second: list[int], shared: int) -> None:
    assert common_prefix_length(np.array(first, np.int32), np.array(second, np.int32)) == shared
    assert common_prefix_length(np.array(second, np.int32), np.array(first, np.int32)) == shared
