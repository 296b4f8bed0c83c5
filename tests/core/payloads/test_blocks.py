"""Blocks: each row once, at any size and rate."""

import math

import numpy as np
import pytest
from tests.core.payloads.stored import assert_same, settle

from lotdb import InvalidOptionError, InvalidRangeError


@pytest.mark.parametrize("size", [1, 3, 10, 11, 1000])
def test_blocks_in_samples_partition_the_rows(node, size):
    array = np.arange(20).reshape(10, 2)
    node.write_data(array)
    settle(node)
    blocks = list(node.iter_data_blocks(size))
    assert_same(np.concatenate(blocks), array)
    assert all(len(block) == size for block in blocks[:-1])


@pytest.mark.parametrize("size", [0.5, 0.35, 1 / 3, 100])
def test_blocks_in_seconds_partition_the_rows(node, size):
    node.write_data(np.arange(100), samplerate_hz=10)
    settle(node)
    blocks = list(node.iter_data_blocks(size, "seconds"))
    assert np.concatenate(blocks).tolist() == list(range(100))
    assert max(map(len, blocks)) - min(map(len, blocks[:-1] or blocks)) <= 1


def test_blocks_of_a_range(node):
    node.write_data(np.arange(100), samplerate_hz=10)
    blocks = list(node.iter_data_blocks(0.5, "seconds", start=10, stop=-80))
    assert [block.tolist() for block in blocks] == [list(range(10, 15)), list(range(15, 20))]
    blocks = list(node.iter_data_blocks(4, start=1, stop=2, range_unit="seconds"))
    assert [len(block) for block in blocks] == [4, 4, 2]


def test_an_empty_payload_has_no_blocks(node):
    node.write_data(np.zeros((0, 3)))
    assert list(node.iter_data_blocks(5)) == []


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"block_size": 0}, InvalidRangeError),
        ({"block_size": -1}, InvalidRangeError),
        ({"block_size": 1.5}, InvalidRangeError),
        ({"block_size": None}, InvalidRangeError),
        ({"block_size": True}, InvalidRangeError),
        ({"block_size": math.nan, "block_unit": "seconds"}, InvalidRangeError),
        ({"block_size": 0.01, "block_unit": "seconds"}, InvalidRangeError),
        ({"block_size": 1, "block_unit": "minutes"}, InvalidOptionError),
        ({"block_size": 1, "range_unit": 5}, InvalidOptionError),
    ],
)
def test_blocks_that_make_no_sense_are_refused_at_the_call(node, how, error):
    node.write_data(np.arange(10), samplerate_hz=10)
    with pytest.raises(error):
        node.iter_data_blocks(**how)
