"""What lies between the fields of a structure, of which numpy's copies leave what was in memory before."""

import numpy as np
import pytest

from lotdb import Blocks, DataNode

PADDED = np.dtype([("a", "u1"), ("b", "f8"), ("c", "<U1")], align=True)
NESTED = np.dtype([("x", PADDED, (2,)), ("y", "u1")], align=True)
# Of these numpy copies the fields alone.
PLACED = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8], "itemsize": 16})
ENDING = np.dtype({"names": ["a", "s"], "formats": ["i4", "S3"], "offsets": [0, 9], "itemsize": 20})


def soil(size):
    """Leave something in the memory that comes next, as in a program that has run a while."""
    soiled = [np.full(size, 0xAB, "u1") for _ in range(20)]
    del soiled


@pytest.mark.crossed
@pytest.mark.parametrize("dtype", [PADDED, NESTED, PLACED, ENDING])
@pytest.mark.parametrize("count", [9, 6001])
@pytest.mark.parametrize("axes", [slice(None, None, 2), slice(None, None, -1), "order F"])
def test_copies_have_zeros_between_the_fields(dtype, count, axes):
    array = np.zeros((count, 2), dtype)
    array = np.asfortranarray(array) if axes == "order F" else array[axes]
    array.flags.writeable = False
    node = DataNode()
    for name in ("data", "again", "blocks", "counted"):
        soil(array.nbytes)
        if name in ("data", "again"):
            node.write_data(array, data_attribute=name)
            soil(array.nbytes)
            node.append_data(array, data_attribute=name)
        else:
            rows = 2 * len(array) if name == "counted" else None
            node.write_data(Blocks([array, array], dtype, (2,), rows=rows), data_attribute=name)
        assert not any(node.read_data(data_attribute=name).tobytes()), name
    node.attrs["array"] = array[:9]
    assert not any(node.attrs["array"].tobytes())


def test_all_bytes_of_an_array_in_one_piece_are_kept():
    array = np.zeros(9, PADDED)
    array.view("u1")[:] = 0xAB
    before = array.tobytes()
    node = DataNode()
    node.write_data(array)
    assert node.read_data().tobytes() == before
    assert array.tobytes() == before
