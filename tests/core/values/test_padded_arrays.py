"""Arrays of structures whose fields do not fill all of their bytes."""

import numpy as np
import pytest

from lotdb.values.values import decode, encode

PADDED = np.dtype({"names": ["late", "early"], "formats": ["i4", "i2"], "offsets": [8, 0], "itemsize": 20})
SHAPES = [(), (3,), (2, 3)]


def fill_free_memory(nbytes):
    """Let memory that is free hold something else than zeros, as in a process that has run for long."""
    for _ in range(20):
        np.full(nbytes, 255, "u1")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_bytes_between_the_fields_come_back(shape):
    data = bytes(index % 2 for index in range(int(np.prod(shape)) * PADDED.itemsize))
    for _ in range(20):
        encoded = encode(np.ndarray(shape, PADDED, buffer=bytearray(data)), name="x")
        fill_free_memory(len(data))
        back = decode(encoded)
        assert back.tobytes() == data
        assert back.flags.writeable
        assert encode(back, name="x") == encoded


def test_nothing_of_other_memory_is_stored_with_rows_that_do_not_follow_each_other():
    rows = np.zeros(6, PADDED)[::2]
    stored = set()
    for fill in (1, 255):
        for _ in range(20):
            np.full(rows.nbytes, fill, "u1")
        stored.add(encode(rows, name="x"))
    assert len(stored) == 1
    assert stored.pop()[-1] == bytes(rows.nbytes)


def test_a_scalar_of_them_can_be_changed_after_it_came_back():
    back = decode(encode(np.zeros(1, PADDED)[0], name="x"))
    back["late"] = 5
    assert back["late"] == 5
