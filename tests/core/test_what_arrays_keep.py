"""What is written as an array comes back as it was given, or is refused by name: nothing is lost silently."""

import array
import collections
import datetime
import decimal
import enum
import pathlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import BaseNode, ClosedError, DamagedError, DataWriter, DisconnectedError, InvalidDataError


@pytest.fixture
def node():
    return BaseNode("root").get_data_node("node")


class Duck:
    """An array of some library's: what it says beside its values are attributes."""

    def __init__(self, values, **says):
        self.values = values
        self.__dict__.update(says)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype, copy=copy)


class OldDuck(Duck):
    """As before NumPy 2, when there was no ``copy``."""

    def __array__(self, dtype=None):
        return self.values


class Volts(np.ndarray):
    unit = "V"


class Volt(float):
    unit = "V"


class Trace(list[int]):
    unit = "V"


class Level(enum.IntEnum):
    LOW = 1


Point = collections.namedtuple("Point", "x y")


class Numbers:
    """A sequence of the old protocol."""

    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


MASKED = np.ma.array([1, 2], mask=[False, True])
ITSELF: list[Any] = [1]
ITSELF[0] = ITSELF

KEPT: dict[str, tuple[Any, str, Any]] = {
    "integers of 64 bits": ([2**63 - 1, -(2**63)], "i8", None),
    "unsigned integers": ([2**64 - 1, 1], "u8", None),
    "integers of two types": ([np.uint64(5), 3], "i8", [5, 3]),
    "integers that float64 holds": ([2**53, 0.5], "f8", None),
    "large integers that float64 holds": ([-(2**70), 0.5], "f8", None),
    "large integers that complex holds": ([2**64, 1j, np.float32(0.5)], "c16", [2**64, 1j, 0.5]),
    "numbers of numpy": ([np.float32(0.1), np.float32(0.2)], "f4", None),
    "complex numbers": ([1j, 2], "c16", None),
    "texts": (["a", "ccc", ""], "U3", None),
    "bytes": ([b"a", b"\0b"], "S2", None),
    "dates": ([datetime.date(2024, 2, 29)], "M8[D]", None),
    "times": ([datetime.datetime(2024, 2, 29, 1, 2, 3, 4)], "M8[us]", None),
    "spans": ([datetime.timedelta(microseconds=-1)], "m8[us]", None),
    "times of two units": (
        [np.datetime64("2024-01-01", "D"), np.datetime64("2024-01-01T00", "h")],
        "M8[h]",
        [datetime.datetime(2024, 1, 1)] * 2,
    ),
    "structures": (list(np.array([(1, 2.5)], "i4,f8")), "i4,f8", [(1, 2.5)]),
    "sequences in sequences": ([[1, 2], (3, 4), range(5, 7)], "i8", [[1, 2], [3, 4], [5, 6]]),
    "a queue": (collections.deque([1, 2]), "i8", [1, 2]),
    "a sequence of the old protocol": (Numbers(1.5, 2.5), "f8", [1.5, 2.5]),
    "an array of Python's": (array.array("h", [1, -2]), "i2", [1, -2]),
    "buffers": ([bytearray(b"ab"), bytearray(b"cd")], "u1", [[97, 98], [99, 100]]),
    "arrays": ([np.array([1]), np.array([0.5])], "f8", [[1.0], [0.5]]),
    "an array beside a number": ([np.array(1), 2], "i8", [1, 2]),
    "nothing": ([[], []], "f8", [[], []]),
    "what has __array__": (Duck([1, 2]), "i8", [1, 2]),
    "what has an old __array__": (OldDuck(np.arange(2)), "i8", [0, 1]),
    "several that have": ([Duck([1, 2]), Duck([3, 4])], "i8", [[1, 2], [3, 4]]),
    "what says nothing more": (
        Duck([1], attrs={}, unit=None, units="", dims=("dim_0",), index=[].index),
        "i8",
        [1],
    ),
    "a record array": (np.rec.array([(1, 2.5)], dtype="i4,f8"), "i4,f8", [(1, 2.5)]),
}


@pytest.mark.parametrize("case", KEPT)
def test_what_is_kept(node, case):
    data, dtype, read = KEPT[case]
    payload = node.write_data(data)
    assert payload.dtype == np.dtype(dtype)
    assert payload.read().tolist() == (data if read is None else read)


REFUSED: dict[str, tuple[Any, str]] = {
    "bytes that end in NUL": ([b"a\0"], "ends with NUL"),
    "texts that end in NUL": ([["a"], ["b\0"]], "ends with NUL"),
    "texts of numpy that end in NUL": ([np.str_("a\0")], "ends with NUL"),
    "integers of too many bits": ([2**64], "fit neither 64 bits nor, exactly, floating point"),
    "integers of too many bits beside floats": ([0.5, -(2**63) - 1], "fit neither 64 bits nor, exactly"),
    "integers of too many bits beside complex ones": ([1j, 2**64 + 1], "fit neither 64 bits nor, exactly"),
    "integers beyond floats": ([2**1030, float("nan")], "fit neither 64 bits nor, exactly, floating point"),
    "integers that do not fit together": ([2**63, -1], "fit neither"),
    "integers of numpy that do not": ([np.uint64(2**63), np.int64(-1)], "fit neither"),
    "an integer that float64 rounds": ([[2**53 + 1], [0.5]], "fit neither"),
    "an integer that complex rounds": ([2**53 + 1, 1j], "fit neither"),
    "a scalar that is too large": (2**80, "fit neither"),
    "numbers and texts": ([1, "a"], "numbers and text; give it one type"),
    "numbers and truth values": ([1, True], "numbers and truth values"),
    "texts and bytes": (["a", b"a"], "bytes and text"),
    "rows of several types": ([(1, "a"), (2, "b")], "numbers and text"),
    "a missing number": ([1, None], "use float.'nan'., or DataWriter.write_table"),
    "decimals": ([decimal.Decimal("0.1")], "holds objects .Decimal."),
    "times with a zone": (
        [datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)],
        "time zone; convert them to UTC",
    ),
    "times that come twice": ([datetime.datetime(2024, 1, 1, fold=1)], "fold=1"),
    "spans beyond the range": ([datetime.timedelta.max], "beyond the range"),
    "times that would wrap": (
        [np.datetime64("9999-01-01"), np.datetime64(1, "ns")],
        "several units|overflow",
    ),
    "an enumeration": ([Level.LOW], "holds objects .Level."),
    "a value of an enumeration": (Level.LOW, "holds objects .Level."),
    "numbers with a unit": ([Volt(1)], "holds objects .Volt."),
    "a list with a unit": (Trace([1]), r"convert it with list\(x\)"),
    "named tuples": ([Point(1, 2)], r"convert it with tuple\(x\)"),
    "rows of different lengths": ([[1, 2], [3]], r"different lengths \(1, 2\)"),
    "rows beside numbers": ([[1, 2], 3], "values stand beside sequences"),
    "arrays of different lengths": ([np.zeros(1), np.zeros(2)], "different shapes"),
    "arrays of numbers and texts": ([np.array([1]), np.array(["a"])], "give them one type"),
    "arrays of numbers and truth values": ([np.array([1]), np.array([True])], "give them one type"),
    "arrays whose integers float64 rounds": (
        [np.array([2**53 + 1]), np.array([0.5])],
        "not all of their values",
    ),
    "arrays of times that would wrap": (
        [np.array(["9999-01-01"], "M8[D]"), np.array([1], "M8[ns]")],
        "not all",
    ),
    "what contains itself": (ITSELF, "contains itself"),
    "a memoryview of numbers": (
        memoryview(np.zeros((2, 3)).data),
        r"numpy.asarray\(x\) for an array, or bytes\(x\)",
    ),
    "a mask": (MASKED, "would lose its mask"),
    "masks": ([MASKED, MASKED], "would lose its mask"),
    "a mask behind __array__": (OldDuck(MASKED), "would lose its mask"),
    "a generator": ((x for x in [1.0]), "generator is not an array, .*pass Blocks of arrays, or list.x."),
    "what map gives": (map(float, [1]), "map is not an array, .*pass Blocks of arrays, or list.x."),
    "the path of a file": (pathlib.Path("a.npy"), "Path is not an array, .*attach_file stores a file"),
    "an object": (object(), "object is not an array, text or bytes"),
    "texts of any length": (np.array(["a", "bcd"], "T"), "StringDType.*'<U3'"),
    "objects": (np.array([1, "a"], object), r"arrays of objects \(int, str\)"),
    "a quantity": (np.zeros(2).view(Volts), r"Volts is an array.*its unit \('V'\).*numpy.asarray\(x\)"),
    "quantities": ([np.zeros(2).view(Volts)] * 2, "its unit"),
    **{
        f"{name} of another library's array": (
            Duck([1, 2], **{name: value}),
            rf"{name} \(.*numpy.asarray\(x\)",
        )
        for name, value in {
            "units": "mV",
            "unit": Level.LOW,
            "attrs": {"gain": 2},
            "coords": {"time": [1, 2]},
            "meta": {"gain": 2},
            "dims": ("time",),
            "names": ("time", None),
            "index": range(1, 3),
            "columns": ["a"],
            "mask": np.array([True, False]),
            "null_count": 1,
        }.items()
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_lose_something_is_refused_with_what_and_the_remedy(node, case):
    data, message = REFUSED[case]
    with pytest.raises(InvalidDataError, match=f"payload 'data' of node 'node': .*{message}"):
        node.write_data(data)
    with pytest.raises(InvalidDataError, match=message):
        node.append_data(data)
    assert not node.has_data()


@pytest.mark.parametrize(
    "case", sorted(REFUSED.keys() - {"a missing number", "a mask", "texts of any length"})
)
def test_no_column_of_a_table_loses_it_either(node, case):
    with pytest.raises(InvalidDataError):
        DataWriter.write_table(node, {"a": REFUSED[case][0]})
    assert not node.has_data()


@pytest.mark.parametrize("wrapped", [lambda lazy: lazy, lambda lazy: [lazy, lazy]])
@pytest.mark.parametrize("error", [ClosedError, DisconnectedError, DamagedError])
def test_an_array_that_fails_when_it_reads_a_payload_is_no_bad_input(node, wrapped, error):
    class Lazy:
        def __array__(self, dtype=None, copy=None):
            raise error("as it is")

    with pytest.raises(error, match="as it is"):
        node.write_data(wrapped(Lazy()))
    assert not node.has_data()


def test_what_is_said_as_metadata_is_not_lost(node):
    payload = node.write_data(Duck([1, 2], attrs={"gain": 2}), metadata={"gain": 2})
    assert payload.metadata == {"gain": 2}
    with pytest.raises(InvalidDataError, match=r"attrs \(\['gain'\]\)"):
        node.write_data(Duck([1, 2], attrs={"gain": 2}), metadata={"other": 2})


def test_a_payload_is_more_than_its_array(node):
    payload = node.write_data(np.arange(3), samplerate_hz=100, metadata={"unit": "g"})
    other = BaseNode("root").get_data_node("other")
    with pytest.raises(
        InvalidDataError, match=r"\['unit', 'the rate of 100 Hz'\] would be lost; pass its read"
    ):
        other.write_data(payload)
    copied = other.write_data(payload, samplerate_hz=100, metadata=payload.metadata)
    assert (copied.read().tolist(), copied.samplerate_hz, copied.metadata) == ([0, 1, 2], 100, {"unit": "g"})
    with pytest.raises(InvalidDataError, match="of kind 'text'"):
        other.write_data(node.write_data("a text"))


LEAVES = st.one_of(
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False),
    st.booleans(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.none(),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.complex_numbers(allow_nan=False),
)


@given(st.lists(LEAVES, max_size=4) | st.lists(st.lists(LEAVES, max_size=3), max_size=3))
def test_any_list_comes_back_equal_and_of_the_same_types_or_is_refused(data):
    node = BaseNode("root").get_data_node("node")
    try:
        read = node.write_data(data).read().tolist()
    except InvalidDataError:
        return
    assert read == data

    def sorts(items):
        return [sorts(item) if isinstance(item, list) else sort(item) for item in items]

    def sort(item):  # numbers may become those of another type that are equal
        number = isinstance(item, int | float | complex) and not isinstance(item, bool)
        return "number" if number else type(item)

    assert sorts(read) == sorts(data)


# -- pandas ---------------------------------------------------------------------------------------


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas")


def with_attrs(labelled):
    labelled.attrs["unit"] = "V"
    return labelled


SERIES = {
    "plain": (lambda pd: pd.Series([1, 2]), [1, 2]),
    "nullable, all there": (lambda pd: pd.Series([2**53 + 1, 1], dtype="Int64"), [2**53 + 1, 1]),
    "texts": (lambda pd: pd.Series(["a", "bb"]), ["a", "bb"]),
    "categories without an order": (lambda pd: pd.Series(pd.Categorical(["x", "y"])), ["x", "y"]),
    "an array": (lambda pd: pd.array([True, False]), [True, False]),
    "an index": (lambda pd: pd.Index([5, 6]), [5, 6]),
    "times": (lambda pd: pd.to_datetime(pd.Series(["2024-01-01"])), [datetime.datetime(2024, 1, 1)]),
    "several": (lambda pd: [pd.Series([1, 2]), pd.Series([3, 4])], [[1, 2], [3, 4]]),
}


@pytest.mark.parametrize("case", SERIES)
def test_series_that_are_kept(node, pandas, case):
    make, read = SERIES[case]
    assert node.write_data(make(pandas)).read().astype(object).tolist() == read or case == "times"
    if case == "times":
        assert node.read_data().astype("M8[us]").tolist() == read


LOST = {
    "an index": (lambda pd: pd.Series([1, 2], index=["a", "b"]), "an index of its own"),
    "an index in another order": (lambda pd: pd.Series([2, 1]).sort_values(), "an index of its own"),
    "an index of floats": (lambda pd: pd.Series([1, 2], index=[0.0, 1.0]), "an index of its own"),
    "a name of the index": (
        lambda pd: pd.Series([1], index=pd.RangeIndex(1, name="t")),
        "an index of its own",
    ),
    "a name": (lambda pd: pd.Series([1], name="emg"), "has the name 'emg'.*data_attribute="),
    "the name of an index": (lambda pd: pd.Index([1], name="emg"), "has the name 'emg'"),
    "attributes": (lambda pd: with_attrs(pd.Series([1])), r"attrs \(\['unit'\]\).*metadata=series.attrs"),
    "a missing integer": (
        lambda pd: pd.Series([2**53 + 1, None], dtype="Int64"),
        "missing values.*write_table",
    ),
    "a missing text": (lambda pd: pd.Series(["a", None]), "missing values"),
    "a missing truth value": (lambda pd: pd.array([True, None]), "missing values"),
    "an order": (
        lambda pd: pd.Series(pd.Categorical(["b"], ["b", "a"], ordered=True)),
        "order of its categories",
    ),
    "a category": (
        lambda pd: pd.Series(pd.Categorical(["b"], ["b", "a"])),
        r"categories of no row \(\['a'\]\)",
    ),
    "a time zone": (lambda pd: pd.Series(pd.to_datetime(["2024-01-01"], utc=True)), "time zone.*tz_convert"),
    "periods": (lambda pd: pd.Series(pd.period_range("2024", periods=2)), "objects .Period."),
    "mixed objects": (lambda pd: pd.Series([1, "a"]), "numbers and text"),
    "large objects": (lambda pd: pd.Series([2**70, 1]), "fit neither"),
    "several levels": (lambda pd: pd.MultiIndex.from_tuples([(1, 2)]), "tuple"),
    "indexes of several": (lambda pd: [pd.Series([1], index=["a"])] * 2, "an index of its own"),
    "a frame among others": (lambda pd: [pd.DataFrame({"a": [1]})], "columns"),
    "attributes of a frame": (lambda pd: with_attrs(pd.DataFrame({"a": [1]})), "metadata=frame.attrs"),
    "a name of columns": (lambda pd: pd.DataFrame({"a": [1]}).rename_axis(columns="x"), "rename_axis"),
    "an order in a frame": (
        lambda pd: pd.DataFrame({"a": pd.Categorical(["x"], ordered=True)}),
        "column 'a'.*order",
    ),
}


@pytest.mark.parametrize("case", LOST)
def test_what_pandas_says_beside_the_values_is_refused_by_name(node, pandas, case):
    make, message = LOST[case]
    with pytest.raises(InvalidDataError, match=f"payload 'data' of .*{message}"):
        node.write_data(make(pandas))
    assert not node.has_data()


def test_a_name_that_is_said_is_not_lost(node, pandas):
    series = pandas.Series([1, 2], name="emg")
    assert node.write_data(series, data_attribute="emg").read().tolist() == [1, 2]
    assert node.write_data(series, metadata={"name": "emg"}).metadata == {"name": "emg"}


@pytest.mark.parametrize("write", [lambda n, f, **how: n.write_data(f, **how), DataWriter.write_table])
def test_attributes_of_a_frame_are_kept_as_metadata(node, pandas, write):
    frame = with_attrs(pandas.DataFrame({"a": [1]}))
    with pytest.raises(InvalidDataError, match=r"metadata=frame\.attrs"):
        write(node, frame)
    assert write(node, frame, metadata=frame.attrs).metadata == {"unit": "V"}


def test_an_index_is_not_lost_in_a_column_either(node, pandas):
    with pytest.raises(InvalidDataError, match=r"column .a..*an index of its own"):
        DataWriter.write_table(node, {"a": pandas.Series([1, 2], index=[5, 6])})


# -- xarray ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "lost"),
    [
        ({"dims": "time"}, "dims"),
        ({"dims": "time", "coords": {"time": [10, 20]}}, "coords"),
        ({"attrs": {"units": "mV"}}, "attrs"),
        ({"name": "emg"}, "name"),
    ],
)
def test_labels_of_xarray_are_refused_by_name(node, how, lost):
    xarray = pytest.importorskip("xarray")
    labelled = xarray.DataArray([1.0, 2.0], **how)
    with pytest.raises(InvalidDataError, match=rf"an array cannot hold: {lost} .*pass numpy.asarray\(x\)"):
        node.write_data(labelled)
    with pytest.raises(InvalidDataError, match="DataArray"):
        node.write_data([labelled, labelled])
    assert node.write_data(np.asarray(labelled)).read().tolist() == [1, 2]
    assert node.write_data(xarray.DataArray([1.0, 2.0])).read().tolist() == [1, 2]


def test_a_dataset_of_xarray_is_no_table_without_its_labels(node):
    xarray = pytest.importorskip("xarray")
    dataset = xarray.Dataset({"a": ("time", [1, 2])}, {"time": [5, 6]})
    with pytest.raises(InvalidDataError, match="Dataset is not an array"):
        node.write_data(dataset)
    with pytest.raises(InvalidDataError, match="Dataset has coords"):
        DataWriter.write_table(node, dataset)
