"""CRC-32 put together from blocks, and computed behind a read."""

import threading
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import LOTDB, DamagedError
from lotdb.interfaces.checksums import BLOCK_BYTES, THREADED_BYTES, checksum, combined, read_summed


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_the_sums_of_two_runs_give_that_of_both(first, second):
    assert combined(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@pytest.mark.parametrize("length", [BLOCK_BYTES, BLOCK_BYTES - 1, (1 << 40) + 3])
def test_runs_may_be_long(length):
    one = combined(zlib.crc32(b"x"), 0, length)
    assert one == combined(combined(zlib.crc32(b"x"), 0, length - 7), 0, 7)


@pytest.mark.parametrize("rows", [1, 3, BLOCK_BYTES // 24, BLOCK_BYTES // 24 + 1, 5 * BLOCK_BYTES // 24 + 7])
def test_reading_in_blocks_gives_the_rows_and_their_sum(rows):
    data = np.random.default_rng(rows).integers(0, 255, (rows, 3), np.int64)
    out = np.empty_like(data)

    def read(first, block):
        block[...] = data[first : first + len(block)]

    assert read_summed(read, out) == checksum(data) == zlib.crc32(data.tobytes())
    np.testing.assert_array_equal(out, data)


@pytest.mark.parametrize("failing", [0, 2])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_read_that_fails_leaves_no_thread(failing, error):
    def read(first, block):
        block[...] = 0
        if first >= failing * (BLOCK_BYTES // 8):
            raise error("no such rows")

    with pytest.raises(error, match="no such rows"):
        read_summed(read, np.empty(4 * BLOCK_BYTES // 8))
    assert not [thread for thread in threading.enumerate() if thread.name == "lotdb-checksum"]


@pytest.mark.parametrize("place", [200, THREADED_BYTES, 3 * THREADED_BYTES])
def test_a_flipped_bit_in_a_large_payload_is_noticed(tmp_path, place):
    with LOTDB(tmp_path) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(THREADED_BYTES // 2))
        with db.connection() as root:
            np.testing.assert_array_equal(root["a"].read_data(), np.arange(THREADED_BYTES // 2))
            ((path, _),) = root["a"].get_data().segments()[0].files
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    with LOTDB(tmp_path) as db, db.connection() as root, pytest.raises(DamagedError, match="do not match"):
        root["a"].read_data()
