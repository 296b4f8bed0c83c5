"""Telling whether two values are the same, and whether one comes back; values of every kind."""

import dataclasses
import datetime as dt
import enum
import io
import math
import pathlib
import uuid
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import zodbpickle
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from zodbpickle import pickletools_3

from lotdb.values.values import PLAIN, decode, encode


def same(one, other):
    """Equal, of the very same type all the way down, and NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.dtype):
        return one == other and one.type is other.type and one.isalignedstruct == other.isalignedstruct
    if isinstance(one, (np.ndarray, np.generic)):
        return same(one.dtype, other.dtype) and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (set, frozenset)):
        return len(one) == len(other) and all(any(same(a, b) for b in other) for a in one)
    if isinstance(one, (dt.datetime, dt.time)):
        # Across two zones == compares moments; what is wanted is what the clock shows, and the zone.
        return repr(one.replace(tzinfo=None)) == repr(other.replace(tzinfo=None)) and same(
            one.tzinfo, other.tzinfo
        )
    if isinstance(one, complex):
        return same((one.real, one.imag), (other.real, other.imag))
    if isinstance(one, (float, Decimal, dt.timezone)):
        return repr(one) == repr(other)
    return one == other


def assert_plain(encoded):
    if type(encoded) is tuple:
        for part in encoded:
            assert_plain(part)
    else:
        assert type(encoded) in PLAIN


def pickled(encoded):
    buffer = io.BytesIO()
    zodbpickle.pickle.Pickler(buffer, 3).dump(encoded)
    return buffer.getvalue()


def assert_names_nothing(data):
    opcodes = {opcode.name for opcode, _, _ in pickletools_3.genops(data)}
    assert not opcodes & {"GLOBAL", "STACK_GLOBAL", "REDUCE", "INST", "OBJ", "NEWOBJ", "BUILD", "BINPERSID"}


def assert_comes_back(value, extra=None):
    encoded = encode(value, name="x", extra=extra)
    assert_plain(encoded)
    data = pickled(encoded)
    assert_names_nothing(data)
    loaded = zodbpickle.pickle.loads(data)
    assert same(loaded, encoded)
    back = decode(loaded, extra=extra)
    assert same(back, value), (back, value)
    return back


ZONES = [
    None,
    dt.UTC,
    dt.timezone(dt.timedelta(hours=-3, minutes=-30)),
    dt.timezone(dt.timedelta(seconds=1, microseconds=2)),
    dt.timezone(dt.timedelta(hours=1), "CET"),
    dt.timezone(dt.timedelta(0), "GMT"),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("UTC"),
]

OTHERS: list[object] = [
    complex(-0.0, math.nan),
    bytearray(b"\0\xff"),
    range(0),
    range(10, -(10**30), -3),
    dt.date(1, 1, 1),
    dt.datetime.max,
    dt.timedelta.min,
    dt.datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    dt.datetime(2024, 10, 27, 2, 30, fold=1),
    dt.time(2, 30, fold=1),
    *[dt.datetime(2020, 2, 29, 1, 2, 3, 4, tzinfo=zone) for zone in ZONES],
    *[dt.time(1, 2, 3, 4, tzinfo=zone) for zone in ZONES],
    *ZONES,
    *map(Decimal, ["NaN", "-NaN", "sNaN", "sNaN12", "-0", "-0.00", "Infinity", "1E+99999", "1.10"]),
    Decimal(10**5000) + 1,
    Fraction(-1, 10**30),
    uuid.UUID(int=5),
    pathlib.PurePosixPath("/a/../b c"),
    pathlib.PurePosixPath(),
    pathlib.PureWindowsPath("C:\\a\\b"),
    pathlib.PureWindowsPath("//server/share/x"),
    pathlib.Path("a/b"),
    pathlib.Path(),
    10**20_000,
    -(2**63),
    math.nan,
    -0.0,
    "\ud800 lone",
    "",
    b"",
    [],
    (),
    {},
    set(),
    frozenset(),
    {(1, frozenset({2})): [], None: 1, True: 2, "a": {"b": ()}, np.float32(1.5): 3, b"k": 4},
]

PLAIN_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=8),  # lone surrogates included
    st.binary(max_size=8),
)
SCALAR_DTYPES = hnp.scalar_dtypes().filter(lambda dtype: dtype.itemsize < 1000)
HASHABLE_LEAVES = st.one_of(
    PLAIN_VALUES,
    st.complex_numbers(),
    st.datetimes(timezones=st.sampled_from(ZONES)),
    st.dates(),
    st.times(timezones=st.sampled_from(ZONES)),
    st.timedeltas(),
    st.decimals().filter(lambda number: not number.is_snan()),
    st.fractions(),
    st.uuids(),
    st.sampled_from([range(3), pathlib.PurePosixPath("a"), pathlib.Path("a")]),
    hnp.scalar_dtypes(),
)
NUMPY_SCALARS = SCALAR_DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, ())).map(lambda array: array[()])
ARRAYS = hnp.arrays(
    st.one_of(SCALAR_DTYPES, hnp.array_dtypes(), hnp.nested_dtypes()).filter(
        lambda dtype: not dtype.subdtype
    ),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
)
LEAVES = st.one_of(HASHABLE_LEAVES, st.binary(max_size=8).map(bytearray), NUMPY_SCALARS, ARRAYS)
HASHABLE = st.recursive(
    HASHABLE_LEAVES,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=3),
        st.sets(HASHABLE, max_size=3),
        st.frozensets(HASHABLE, max_size=3),
    ),
    max_leaves=10,
)

TITLED = np.dtype({"names": ["a", "b"], "formats": ["i4", "f8"], "titles": [None, "B b"]})
DTYPES = [
    *[np.dtype(char) for char in "?bhilqBHILQefdgFDG"],
    *[np.dtype(text) for text in [">f8", ">i2", ">c16", ">U3", "S0", "U0", "V0", "S5", "U5", "V5"]],
    *[np.dtype(text) for text in ["M8", "M8[ns]", ">M8[25s]", "m8[D]", "m8", "m8[7us]"]],
    np.dtype("g").newbyteorder(),
    np.dtype("q").newbyteorder(),
    np.dtype([("a", "i1"), ("b", ">f8", (2, 3)), ("c", [("d", "S3"), ("e", "M8[s]")])]),
    np.dtype([("a", "i1"), ("b", "f8")], align=True),
    np.dtype({"names": ["late", "early"], "formats": ["i4", "i4"], "offsets": [8, 0], "itemsize": 20}),
    np.dtype({"names": ["whole", "part"], "formats": ["i4", "i2"], "offsets": [0, 0]}),
    np.dtype([]),
    np.dtype([("a", "S0"), ("b", "U0")]),
    np.dtype([("größe", "f4"), ("with/slash", "f4")]),
    TITLED,
]


class Colour(enum.IntEnum):
    RED = 1


@dataclasses.dataclass
class Setup:
    gain: float


class Text(str):
    __slots__ = ()


class Registered:
    def __init__(self, *types):
        self.types = types

    def by_type(self, kind):
        return next((added for added in self.types if added.type is kind), None)

    def by_name(self, name):
        return next((added for added in self.types if added.name == name), None)
