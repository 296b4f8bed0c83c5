import collections
import dataclasses
import datetime as dt
import enum
import io
import math
import pathlib
import sys
import uuid
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import zodbpickle
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from zodbpickle import pickletools_3

from lotdb.errors import PluginError, UnsupportedValueError, ValueTooLargeError
from lotdb.values.values import (
    MAX_DEPTH,
    MAX_VALUE_BYTES,
    PLAIN,
    Undecodable,
    ValueType,
    decode,
    encode,
    encoded_size,
)

# -- telling whether two values are the same ------------------------------------------------------


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


# -- what comes back ------------------------------------------------------------------------------

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


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: f"{type(value).__name__}")
def test_a_value_comes_back_as_it_was(value):
    assert_comes_back(value)


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


@given(VALUES)
def test_nested_values_come_back_with_the_same_types(value):
    assert_comes_back(value)


@given(PLAIN_VALUES)
def test_a_plain_value_is_stored_as_it_is(value):
    assert encode(value, name="x") is value
    assert decode(value) is value


def test_a_dict_keeps_its_order():
    back = assert_comes_back({"z": 1, "a": 2, "m": 3})
    assert list(back) == ["z", "a", "m"]


@given(st.lists(HASHABLE_LEAVES.filter(lambda value: value == value), unique=True, max_size=8), st.randoms())
def test_equal_sets_are_stored_alike(items, random):
    # Of values that are equal and of different types, such as 1 and 1.0, a set keeps the first.
    encoded = encode(set(items), name="x")
    random.shuffle(items)
    assert same(encode(set(items), name="x"), encoded)


def test_what_is_stored_shares_nothing_with_the_value():
    value = {"list": [1], "bytes": bytearray(b"a"), "array": np.zeros(2)}
    encoded = encode(value, name="x")
    value["list"].append(2)
    value["bytes"].append(0)
    value["array"][0] = 5
    assert same(decode(encoded), {"list": [1], "bytes": bytearray(b"a"), "array": np.zeros(2)})


def test_each_reader_gets_a_copy_of_its_own():
    encoded = encode([[1], {2: set()}, bytearray(b"a"), np.zeros(2), np.zeros(1, "i4,f4")[0]], name="x")
    one, other = decode(encoded), decode(encoded)
    one[0].append(9)
    one[1][2].add(9)
    one[2].append(9)
    one[3][0] = 9
    one[4]["f0"] = 9
    assert same(other, decode(encoded))
    assert same(encode(other, name="x"), encoded)


def test_a_path_of_windows_is_a_path_here():
    value = pathlib.Path("a") / "b"
    assert encode(value, name="x") == ("pa", "a/b")
    assert type(decode(("pa", "a/b"))) is type(value)


# -- numpy ----------------------------------------------------------------------------------------

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


# -- what is refused ------------------------------------------------------------------------------


class Colour(enum.IntEnum):
    RED = 1


class Point(NamedTuple):
    x: int


@dataclasses.dataclass
class Setup:
    gain: float


class Text(str):
    __slots__ = ()


class Local(dt.tzinfo):
    def utcoffset(self, when):
        return dt.timedelta(0)

    def dst(self, when):
        return None

    def tzname(self, when):
        return "here"


class Zone(dt.datetime):
    pass


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (Colour.RED, r"\.value"),
        (Point(1), "_asdict"),
        (Setup(1.0), "asdict"),
        (Text("a"), "only str itself"),
        (collections.OrderedDict(), "only dict itself"),
        (collections.defaultdict(list), "only dict itself"),
        (Zone(2020, 1, 1), "only datetime itself"),
        (dt.datetime(2020, 1, 1, tzinfo=Local()), "ZoneInfo"),
        (dt.time(tzinfo=Local()), "ZoneInfo"),
        (Local(), "ZoneInfo"),
        (iter([1]), r"list\(value\)"),
        ((x for x in "ab"), r"list\(value\)"),
        (memoryview(b""), r"bytes\(value\)"),
        (collections.ChainMap(), r"dict\(value\)"),
        (object(), "register"),
        (len, "register"),
        (int, "register"),
        (slice(1), "register"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_other_types_are_refused_with_advice(value, advice):
    with pytest.raises(UnsupportedValueError, match=advice):
        encode(value, name="x")


def test_a_time_zone_read_from_a_file_is_refused():
    counts = [0, 0, 0, 0, 1, 1]  # of the TZif header: one kind of time and one letter for its name
    header = b"TZif" + bytes(16) + b"".join(count.to_bytes(4, "big") for count in counts)
    zone = ZoneInfo.from_file(io.BytesIO(header + bytes(7)))
    with pytest.raises(UnsupportedValueError, match="without a key"):
        encode(dt.datetime(2020, 1, 1, tzinfo=zone), name="x")


def test_the_message_names_the_attribute_the_type_and_the_place():
    value = {"config": {"x": [0, 1, 2, Setup(1.0)]}}
    with pytest.raises(UnsupportedValueError) as caught:
        encode(value, name="setup")
    assert "attribute 'setup'" in str(caught.value)
    assert f"{__name__}.Setup" in str(caught.value)
    assert " in ['config']['x'][3]: " in str(caught.value)


def test_the_message_finds_its_place_inside_sets_and_keys():
    with pytest.raises(UnsupportedValueError, match=r"in \['a'\]\.keys\(\)\[1\]: "):
        encode({"a": {(0, object()): 1}}, name="x")
    with pytest.raises(UnsupportedValueError, match=r"in \[0\]\{\.\.\.\}: "):
        encode([{object()}], name="x")


def test_a_key_too_long_to_print_does_not_hide_the_message():
    with pytest.raises(UnsupportedValueError, match=r"in \[a value of type int\]"):
        encode({10**10_000: object()}, name="x")


# -- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "a" * (MAX_VALUE_BYTES + 1),
        "é" * (MAX_VALUE_BYTES // 2 + 1),
        b"a" * (MAX_VALUE_BYTES + 1),
        bytearray(MAX_VALUE_BYTES + 1),
        1 << 8 * (MAX_VALUE_BYTES + 1),
        [0] * MAX_VALUE_BYTES,
        [[]] * MAX_VALUE_BYTES,
        {"a": ["a" * MAX_VALUE_BYTES]},
        np.zeros(MAX_VALUE_BYTES + 1, "u1"),
        np.str_("a" * (MAX_VALUE_BYTES + 1)),
        np.void(b"a" * (MAX_VALUE_BYTES + 1)),
        np.broadcast_to(np.zeros(1), 10**15),
        np.dtype([(f"field {index}", "f8") for index in range(50_000)]),
        pathlib.Path("a" * MAX_VALUE_BYTES),
        Decimal("1" * MAX_VALUE_BYTES),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_of_more_than_one_mebibyte_is_refused(value):
    with pytest.raises(ValueTooLargeError, match=r"attribute 'big' .*1 MiB.*write_data"):
        encode(value, name="big")


@pytest.mark.parametrize("kind", [str, bytes, bytearray, np.ndarray])
def test_a_value_of_nearly_one_mebibyte_is_held(kind):
    data = b"a" * (MAX_VALUE_BYTES - 100)
    assert_comes_back(
        {
            str: data.decode,
            bytes: lambda: data,
            bytearray: lambda: bytearray(data),
            np.ndarray: lambda: np.frombuffer(data, "u1"),
        }[kind]()
    )


def test_a_long_list_is_given_up_early():
    class Counted(IPv4Address):
        pass

    asked = []
    counted = ValueType(
        "acme.counted",
        Counted,
        encode=lambda value: asked.append(value) or "a" * 1000,
        decode=lambda text: Counted(0),
    )
    with pytest.raises(ValueTooLargeError):
        encode([Counted(0)] * 100_000, name="x", extra=Registered(counted))
    assert len(asked) < MAX_VALUE_BYTES // 1000 + 1


def nested(depth, kind=list):
    value = kind()
    for _ in range(depth - 1):
        value = kind([value])
    return value


@pytest.mark.parametrize("kind", [list, tuple, frozenset])
def test_containers_nest_as_deep_as_the_limit_and_no_deeper(kind):
    assert_comes_back(nested(MAX_DEPTH, kind))
    with pytest.raises(ValueTooLargeError, match="attribute 'x' nests deeper than 64"):
        encode(nested(MAX_DEPTH + 1, kind), name="x")


def test_the_deepest_container_may_hold_any_value():
    value = inner = []
    for _ in range(MAX_DEPTH - 1):
        inner.append({} if isinstance(inner, dict) else [])
        inner = inner[0]
    inner.append(np.zeros(2, DTYPES[-9]))
    inner.append(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    assert_comes_back(value)


def test_a_container_within_itself_is_refused():
    ring = []
    ring.append([ring])
    loop = {}
    loop["a"] = loop
    for value in (ring, loop):
        with pytest.raises(ValueTooLargeError, match="contain itself") as caught:
            encode(value, name="x")
        assert len(str(caught.value)) < 300


def test_containers_that_share_their_parts_do_not_explode():
    value = []
    for _ in range(60):
        value = [value] * 10
    with pytest.raises(ValueTooLargeError):
        encode(value, name="x")


@given(VALUES)
def test_the_estimated_size_is_near_the_pickled_size(value):
    encoded = encode(value, name="x")
    assert len(pickled(encoded)) <= encoded_size(encoded) + 16
    assert encoded_size(encoded) <= 6 * len(pickled(encoded))


# -- damaged and unknown values -------------------------------------------------------------------

DAMAGED = [
    (),
    (1, 2),
    (None,),
    (("l",), 1),
    ("zz", 1),
    ("p", "array", ()),
    ("d", 1),
    ("d", ("l",), 1),
    ("s", ("l",)),
    ("c", "1+2j", 1.0),
    ("b", 10**15),
    ("b", b"", b""),
    ("r", 0, 1, 0),
    ("r", 0, 1),
    ("F", 1, 0),
    ("F", "1e999999999", 1),
    ("D", "one"),
    ("u", b"short"),
    ("dt", 2020, 13, 1, 0, 0, 0, 0, 0, None),
    ("dt", 2020, 1, 1, 0, 0, 0, 0, 0, ("l",)),
    ("dt", 2020, 1, 1, 0, 0, 0, 0, 0, ()),
    ("dt", 2020, 1, 1, 0, 0, 0, 0, 7, None),
    ("ti", 25, 0, 0, 0, 0, None),
    ("ti", 0, 0, 0, 0, 0, ("zi", "Nowhere/Land")),
    ("zi", "../../etc/passwd"),
    ("tz", 10**12, None),
    ("tz", 0, 5),
    ("td", 10**12, 0, 0),
    ("pa", 5),
    ("n", "<f8", b"short"),
    ("n", "<f8", b"longer than it"),
    ("n", "O", b"12345678"),
    ("n", "|O8", b"12345678"),
    ("n", "f8,(9999,9999)f8", b""),
    ("n", ("c", "<f16", "g", 1), b"1234567812345678"),
    ("n", ("c", "<f8", "O", 0), b"12345678"),
    ("na", "<f8", (10**15,), b""),
    ("na", "<f8", (-1, -1), b"12345678"),
    ("na", "<f8", (True,), b"12345678"),
    ("na", "<f8", (1.0,), b"12345678"),
    ("na", "<f8", "1", b"12345678"),
    ("na", "<f8", (0, 2**62, 2**62), b""),
    ("na", "<f8", (1,) * 100, b"12345678"),
    ("na", ("v", "<f8", (2,)), (1,), b"1" * 16),
    ("na", ("s", 8, False, ("a", 4, "<f8", None)), (1,), b"12345678"),
    ("na", ("s", 8, False, ("a", 0, "|O8", None)), (1,), b"12345678"),
    ("na", ("s", 8, False, ("a", 0)), (1,), b"12345678"),
    ("na", ("s", 8, False, ("a", 0, "<f4", None), ("a", 4, "<f4", None)), (1,), b"12345678"),
    ("na", ("zz",), (1,), b"12345678"),
    ("na", (), (1,), b""),
    ("nd", None),
    ("nd", 5),
    ("nd", "<M8[lightyears]"),
    ("nd", "|T16"),
    ("x",),
    ("x", "acme.ipv4"),
    ("x", 5, 5),
]


@pytest.mark.parametrize("encoded", DAMAGED, ids=repr)
def test_what_cannot_be_decoded_stands_for_itself(encoded):
    value = decode(encoded)
    assert type(value) is Undecodable
    assert value.encoded is encoded
    assert value.reason in repr(value)
    hash(value)


@pytest.mark.parametrize("encoded", [entry for entry in DAMAGED if entry[:1] != ("p",)], ids=repr)
def test_an_undecodable_value_is_stored_unchanged(encoded):
    assert encode(decode(encoded), name="x") is encoded
    assert encode([decode(encoded)], name="x") == ("l", encoded)


def test_the_rest_of_a_damaged_value_is_decoded():
    value = decode(("l", 1, ("zz", 2), ("d", "a", ("b", 5))))
    assert value[0] == 1
    assert value[1] == Undecodable("zz", ("zz", 2), "")
    assert value[2]["a"].tag == "b"


def test_undecodable_keys_stay_apart():
    value = decode(("d", ("zz", 1), "one", ("zz", 2), "two"))
    assert len(value) == 2
    assert encode(value, name="x") == ("d", ("zz", 1), "one", ("zz", 2), "two")


def test_a_payload_is_no_value():
    value = decode(("p", 1))
    assert "payload" in value.reason
    with pytest.raises(UnsupportedValueError, match="payload"):
        encode(value, name="x")


def test_an_undecodable_value_cannot_smuggle_an_object():
    with pytest.raises(UnsupportedValueError, match="not plain data"):
        encode(Undecodable("l", ("l", object()), ""), name="x")
    with pytest.raises(UnsupportedValueError, match="not plain data"):
        encode(Undecodable("l", [1], ""), name="x")


@pytest.mark.parametrize("encoded", [object(), [1], ("l", object()), ("l", ("l", Colour.RED)), Text("a")])
def test_objects_that_are_not_plain_are_not_decoded(encoded):
    assert "not plain data" in decode(encoded).reason


def test_a_value_nested_without_end_is_not_decoded():
    encoded = ()
    for _ in range(200_000):
        encoded = ("l", encoded)
    value = decode(encoded)
    assert "nested deeper" in value.reason
    hash(value)
    assert encoded_size(encoded) > 200_000


def test_shared_parts_cannot_make_a_small_pickle_huge():
    encoded = ("l",)
    for _ in range(50):
        encoded = ("l", *[encoded] * 10)
    assert "larger than" in decode(encoded).reason
    data = ("b", bytes(1 << 20))
    assert "larger than" in decode(("l", *[data] * 1000)).reason


def test_many_items_of_no_size_take_no_room():
    assert decode(("na", "|V0", (10**12,), b"")).shape == (10**12,)


ANYTHING = st.recursive(
    PLAIN_VALUES
    | st.sampled_from(
        [
            "l",
            "t",
            "s",
            "f",
            "d",
            "x",
            "n",
            "na",
            "nd",
            "dt",
            "ti",
            "tz",
            "zi",
            "F",
            "b",
            "<f8",
            "|V0",
            "v",
            "c",
        ]
    ),
    lambda inner: st.lists(inner, max_size=10).map(tuple),
    max_leaves=20,
)


@given(ANYTHING)
def test_decoding_never_fails(encoded):
    decode(encoded)


@given(VALUES, st.data())
def test_decoding_a_value_with_one_part_exchanged_never_fails(value, data):
    encoded = encode(value, name="x")
    if type(encoded) is tuple:
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded = (*encoded[:place], data.draw(ANYTHING), *encoded[place + 1 :])
    decode(encoded)


# -- plugins --------------------------------------------------------------------------------------


class Registered:
    def __init__(self, *types):
        self.types = types

    def by_type(self, kind):
        return next((added for added in self.types if added.type is kind), None)

    def by_name(self, name):
        return next((added for added in self.types if added.name == name), None)


ADDRESS = ValueType("acme.ipv4", IPv4Address, encode=int, decode=IPv4Address)
SETUP = ValueType("acme.setup", Setup, encode=dataclasses.asdict, decode=lambda fields: Setup(**fields))
EXTRA = Registered(ADDRESS, SETUP)


def test_a_registered_type_comes_back():
    value = [IPv4Address("10.0.0.1"), {"a": Setup(0.5)}, {IPv4Address("10.0.0.2")}]
    assert_comes_back(value, extra=EXTRA)
    assert encode(value[0], name="x", extra=EXTRA) == ("x", "acme.ipv4", 10 << 24 | 1)


def test_a_registered_type_may_be_encoded_with_another():
    value = Setup(IPv4Address("10.0.0.1"))
    boxed = ValueType(
        "acme.box", Setup, encode=lambda setup: (setup.gain,), decode=lambda parts: Setup(*parts)
    )
    assert_comes_back(value, extra=Registered(ADDRESS, boxed))


def test_without_the_plugin_the_value_is_kept_and_named():
    encoded = encode([IPv4Address("10.0.0.1")], name="x", extra=EXTRA)
    for extra in (None, Registered()):
        (value,) = decode(encoded, extra=extra)
        assert value.tag == "acme.ipv4"
        assert "no installed plugin" in repr(value)
        assert encode([value], name="x", extra=extra) == encoded


def test_a_decoder_that_fails_leaves_the_value_undecoded():
    value = decode(("x", "acme.ipv4", -1), extra=EXTRA)
    assert value.tag == "acme.ipv4"
    assert "AddressValueError" in value.reason


def test_a_decoder_is_not_given_what_could_not_be_decoded():
    value = decode(("x", "acme.setup", ("d", "gain", ("zz",))), extra=EXTRA)
    assert value == Undecodable("acme.setup", ("x", "acme.setup", ("d", "gain", ("zz",))), "")


def test_an_encoder_that_fails_is_named():
    broken = ValueType("acme.broken", Setup, encode=lambda setup: 1 / 0, decode=Setup)
    with pytest.raises(PluginError, match=r"'x'.*acme\.broken.*ZeroDivisionError") as caught:
        encode(Setup(1.0), name="x", extra=Registered(broken))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_encoder_that_gives_an_unsupported_value_is_named():
    useless = ValueType("acme.useless", Setup, encode=lambda setup: object(), decode=Setup)
    with pytest.raises(UnsupportedValueError, match=r"object in \[0\] \(as 'acme\.useless' encodes it\)"):
        encode([Setup(1.0)], name="x", extra=Registered(useless))


def test_an_encoder_that_gives_its_own_type_ends():
    endless = ValueType("acme.endless", Setup, encode=lambda setup: setup, decode=Setup)
    with pytest.raises(ValueTooLargeError, match="nests deeper"):
        encode(Setup(1.0), name="x", extra=Registered(endless))


def test_a_plugin_cannot_take_over_a_type_of_ours():
    mine = ValueType("acme.list", list, encode=len, decode=lambda length: [None] * length)
    assert encode([1], name="x", extra=Registered(mine)) == ("l", 1)


@pytest.mark.skipif(sys.platform == "win32", reason="names a POSIX type")
def test_paths_of_both_systems_are_told_apart():
    assert encode(pathlib.PurePosixPath("a"), name="x") != encode(pathlib.PureWindowsPath("a"), name="x")
