"""Values of numpy: arrays, scalars and dtypes."""

import math

import numpy as np
import pytest
from tests.core.values.sameness import DTYPES, TITLED, assert_comes_back

from lotdb.errors import UnsupportedValueError
from lotdb.values.values import decode, encode


@pytest.mark.crossed
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 1), (2, 3)], ids=str)
def test_an_array_comes_back_with_its_dtype_and_shape(dtype, shape):
    size = math.prod(shape) * dtype.itemsize
    data = bytes(index % 2 for index in range(size))
    back = assert_comes_back(np.ndarray(shape, dtype, buffer=bytearray(data)))
    assert back.flags.writeable


@pytest.mark.parametrize("dtype", [*DTYPES, np.dtype(("f8", (2, 3)))], ids=str)
def test_a_dtype_comes_back(dtype):
    assert_comes_back(dtype)


def test_the_titles_of_a_dtype_come_back():
    assert decode(encode(TITLED, name="x")).fields["b"][2] == "B b"


@pytest.mark.parametrize("char", "?bhilqBHILQefdgFDG")
def test_a_numpy_number_keeps_its_type(char):
    assert_comes_back(np.dtype(char).type(1))


@pytest.mark.parametrize(
    "scalar",
    [
        np.float64("nan"),
        np.longdouble(1) / 3,
        np.array([np.iinfo("i8").min]).view("M8")[0],  # NaT without a unit, which numpy 2.5 warns of
        np.datetime64("2020-01-01T00:00:00", ("s", 25)),
        np.datetime64(5, "ns"),
        np.timedelta64(3, "h"),
        np.array([3]).view("m8")[0],  # likewise
        np.str_("a\0"),
        np.str_(""),
        np.bytes_(b"a\0"),
        np.void(b"abc"),
        np.void(b""),
        np.zeros(1, dtype=[("a", ">i2"), ("b", "S3", 2)])[0],
    ],
    ids=repr,
)
def test_a_numpy_scalar_comes_back(scalar):
    back = assert_comes_back(scalar)
    assert len(str(back)) == len(str(scalar))


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(10)[::-2],
        np.broadcast_to(np.float32(1), (2, 3)),
        np.arange(6).reshape(2, 3).T,
    ],
    ids=["fortran", "stepped", "broadcast", "transposed"],
)
def test_an_array_of_any_memory_layout_comes_back_in_c_order(array):
    assert assert_comes_back(array).flags.c_contiguous


RECORDS = np.rec.array([(1, 2.0)], dtype="i4,f8")


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (np.array([{}]), "tolist"),
        (np.array([object()]).dtype, "objects"),
        (np.zeros(1, dtype=[("a", "O")]), "objects"),
        (np.zeros(1, dtype=[("a", "O")])[0], "objects"),
        (np.array(["a"], dtype=np.dtypes.StringDType()), "variable length"),
        (np.dtype("f8", metadata={"unit": "V"}), "metadata"),
        (np.zeros(2, np.dtype([("a", np.dtype("f8", metadata={"unit": "V"}))])), "metadata"),
        (np.ma.masked_array([1, 2], [True, False]), "filled"),
        (RECORDS, "only ndarray"),
        (RECORDS[0], "only void"),
        (RECORDS.view(np.ndarray), "asarray"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_numpy_values_that_would_not_come_back_are_refused(value, advice):
    with pytest.raises(UnsupportedValueError, match=advice):
        encode(value, name="x")
