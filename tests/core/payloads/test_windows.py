"""Windows in seconds and rows."""

from itertools import pairwise

import numpy as np
import pytest
from tests.core.payloads.stored import assert_same, settle

from lotdb import InvalidRangeError

WINDOWS = [
    (None, None), (0, 10), (3, 7), (5, 5), (-3, None), (None, -3), (-5, -2), (8, 100), (100, 200),
    (-100, 3), (np.int64(2), np.uint8(5)), (2.0, 5.0), (0, 10**30), (-(10**30), 10**30),
]  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize(("start", "stop"), WINDOWS)
def test_a_window_is_what_numpy_takes(node, start, stop):
    array = np.arange(20).reshape(10, 2)
    node.write_data(array)
    settle(node)

    def whole(bound):
        return None if bound is None else int(bound)

    assert_same(node.read_data(start, stop), array[whole(start) : whole(stop)])


@pytest.mark.parametrize(
    ("start", "stop"),
    [("a", 3), (1.5, 3), (float("nan"), 3), (0, float("inf")), (True, 3), (7, 3), (b"1", None), ([1], None)],
)
def test_a_window_that_makes_no_sense_is_refused_and_names_the_payload(node, start, stop):
    node.write_data(np.arange(10))
    with pytest.raises(InvalidRangeError, match=r"payload 'data' of (node|the root)"):
        node.read_data(start, stop)


def test_the_name_of_a_payload_in_place_of_a_window_is_told_where_it_goes(node):
    node.write_data(np.arange(3.0))
    for read in (node.read_data, node.read_frame, node.get_data().read):
        with pytest.raises(InvalidRangeError, match=r"not 'imu'; get_data takes .*as data_attribute="):
            read("imu")


def test_a_window_in_seconds(node):
    node.write_data(np.arange(100), samplerate_hz=10)
    settle(node)
    assert node.read_data(0.5, 1.0, unit="seconds").tolist() == [5, 6, 7, 8, 9]
    assert node.read_seconds(9.5).tolist() == [95, 96, 97, 98, 99]
    assert node.read_seconds(None, 0.3).tolist() == [0, 1, 2]
    assert node.read_seconds(9.9, 20).tolist() == [99]


def test_float_noise_takes_no_row_too_many(node):
    node.write_data(np.arange(100), samplerate_hz=100)
    assert len(node.read_seconds(0, 0.07)) == 7


@pytest.mark.crossed
@pytest.mark.parametrize("rate", [7, 44.1, 64, 1000 / 3])
@pytest.mark.parametrize("step", [0.1, 0.07, 1 / 3])
def test_consecutive_windows_in_seconds_partition_the_rows(node, rate, step):
    node.write_data(np.arange(200), samplerate_hz=rate)
    settle(node)
    edges = np.arange(0, 200 / rate + step, step)
    got = np.concatenate([node.read_seconds(start, stop) for start, stop in pairwise(edges)])
    assert got.tolist() == list(range(len(got)))
    assert len(got) == 200


def test_seconds_without_a_rate_say_what_to_do(node):
    node.write_data(np.arange(10))
    with pytest.raises(InvalidRangeError, match="has no sample rate; pass samplerate_hz="):
        node.read_seconds(0, 1)


def test_negative_seconds_are_refused(node):
    node.write_data(np.arange(10), samplerate_hz=10)
    with pytest.raises(InvalidRangeError, match="must not be negative"):
        node.read_seconds(-1, 1)


def test_a_payload_says_how_long_it_lasts(node):
    assert node.write_data(np.zeros((20, 2)), samplerate_hz=8).duration_s == 2.5
    assert node.write_data(np.zeros((20, 2))).duration_s is None
