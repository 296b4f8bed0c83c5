"""Payloads: what goes in comes out, whole, in windows, in blocks and in slices; damage is told."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from ZODB.utils import z64

from lotdb import (
    LOTDB,
    BaseNode,
    ClosedError,
    DamagedError,
    DataMismatchError,
    DataNode,
    DataReader,
    DataWriter,
    InvalidDataError,
    InvalidOptionError,
    InvalidRangeError,
    LotdbError,
    Payload,
    PayloadExistsError,
    PayloadNotFoundError,
    Plugins,
    hookimpl,
)
from lotdb.segments.memory import MemoryBackend
from lotdb.storage import raw_records


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as database:
        yield database


@pytest.fixture(params=["memory", "staged", "committed"])
def node(request):
    """An empty data node; ``settle(node)`` brings what it holds to where it is to be read from."""
    if request.param == "memory":
        yield DataNode("node")
        return
    db = request.getfixturevalue("db")
    node = db.open_connection().get_data_node("node")
    if request.param == "committed":
        COMMIT[node.path, id(node._tree)] = db.commit
    yield node
    COMMIT.clear()


COMMIT: dict[tuple[str, int], Callable[[], None]] = {}


def settle(node):
    COMMIT.get((node.path, id(node._tree)), lambda: None)()


def blobs(folder):
    return sorted(folder.rglob("*.blob"))


def assert_same(got, expected):
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    assert np.ascontiguousarray(got).tobytes() == np.ascontiguousarray(expected).tobytes()


# -- what can be stored ---------------------------------------------------------------------------

ARRAYS = {
    "bool": np.array([True, False, True]),
    **{
        f"{kind}{size * 8}": np.arange(-3, 4).astype(f"{kind}{size}")
        for kind in "iu"
        for size in (1, 2, 4, 8)
    },
    **{f"float{size * 8}": np.array([0.5, -0.0, np.nan, np.inf], f"f{size}") for size in (2, 4, 8)},
    "longdouble": np.arange(3, dtype=np.longdouble) / 3,
    "complex64": np.array([1 + 2j, np.nan * 1j], "c8"),
    "complex128": np.array([1 + 2j, -3j], "c16"),
    "datetime64": np.array(["2020-01-01T00:00:01", "NaT"], "M8[ns]"),
    "timedelta64": np.array([1, -5], "m8[us]"),
    "bytes": np.array([b"ab", b"", b"c"]),
    "text": np.array(["æ", "", "long text", "🎧"]),
    "void": np.frombuffer(b"abcdef", "V3"),
    "structured": np.array([(1, 2.5, "x"), (3, 4.5, "yz")], [("a", "i2"), ("b", ">f8"), ("c", "U2")]),
    "nested": np.array([((1, 2), [3, 4])], [("a", [("x", "i1"), ("y", "i4")]), ("b", "f4", (2,))]),
    "field of another alphabet": np.array([(1,)], [("größe", "i4")]),
    "big-endian": np.arange(5, dtype=">i4"),
    "big-endian float": np.arange(5, dtype=">f8"),
    "no axis": np.array(3.5),
    "empty": np.zeros(0),
    "empty with columns": np.zeros((0, 6), "f4"),
    "rows of no width": np.zeros((4, 0)),
    "rows of no width, in depth": np.zeros((4, 0, 3), "i2"),
    "Fortran order": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "not contiguous": np.arange(40).reshape(8, 5)[::2, ::-1],
    "transposed": np.arange(12).reshape(3, 4).T,
    "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
    "three axes": np.arange(24, dtype="f4").reshape(2, 3, 4),
    "five axes": np.arange(32, dtype="u1").reshape(2, 2, 2, 2, 2),
    "large": np.arange(400_000),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_exactly(node, name):
    array = ARRAYS[name]
    node.write_data(array)
    settle(node)
    payload = node.get_data()
    assert (payload.shape, payload.dtype, payload.ndim, payload.size, payload.nbytes) == (
        array.shape,
        array.dtype,
        array.ndim,
        array.size,
        array.nbytes,
    )
    assert payload.kind == "array"
    assert_same(node.read_data(), array)
    assert_same(np.asarray(payload), array)
    assert_same(np.asarray(payload[...]), array)


UNUSUAL = {
    "fields out of order": np.zeros(
        3, np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [4, 0]})
    ),
    "fields in another order": np.zeros(3, [("a", "i4"), ("b", "f8")])[["b", "a"]],
    "fields with titles": np.zeros(3, [(("title", "a"), "f8")]),
    "records": np.rec.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")]),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_array_of_unusual_elements_comes_back_equal_or_is_refused_at_the_call(node, name):
    array = UNUSUAL[name]
    try:
        node.write_data(array)
    except InvalidDataError as error:
        assert "payload 'data' of " in str(error)  # noqa: PT017
        assert not node.has_data()
        return
    settle(node)
    assert node.read_data().tolist() == np.asarray(array).tolist()


GAPS = {
    "aligned": np.dtype([("a", "i1"), ("b", "f8")], align=True),
    "some fields of more": np.dtype(
        {"names": ["a", "c"], "formats": ["i4", "i4"], "offsets": [0, 8], "itemsize": 12}
    ),
}


@pytest.mark.parametrize("name", GAPS)
@pytest.mark.parametrize("place", ["memory", "database"])
def test_elements_with_gaps_are_not_taken_for_damaged(db, place, name):
    root = BaseNode() if place == "memory" else db.open_connection()
    arrays = [np.frombuffer(bytes([fill]) * (GAPS[name].itemsize * 20), GAPS[name]) for fill in range(1, 20)]
    for i, array in enumerate(arrays):
        root.get_data_node(f"n{i}").write_data(array)
    if place == "database":
        db.commit()
    for i, array in enumerate(arrays):
        assert root[f"n{i}"].read_data().tolist() == array.tolist()


def test_a_dtype_with_metadata_is_refused_or_stored_without_a_warning(node):
    array = np.zeros(3, np.dtype("f8", metadata={"unit": "mV"}))
    try:
        node.write_data(array)
    except InvalidDataError:
        return
    settle(node)
    assert node.read_data().tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", [3, 2.5, True, 1 + 1j, np.float32(3), [1, 2], ((1, 2), (3, 4)), range(5)])
def test_what_numpy_makes_an_array_of_is_stored_as_that(node, value):
    node.write_data(value)
    settle(node)
    assert_same(node.read_data(), np.asarray(value))


def test_what_is_read_can_be_changed_without_changing_what_is_stored(node):
    node.write_data(np.arange(5))
    settle(node)
    node.read_data()[:] = 0
    np.asarray(node.get_data())[:] = 0
    assert node.read_data().tolist() == [0, 1, 2, 3, 4]


def test_changing_the_array_after_it_was_written_changes_nothing(node):
    array = np.arange(5)
    node.write_data(array)
    array[:] = 0
    settle(node)
    assert node.read_data().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "text", ["hello", "", "naïve データ 🎧", "a\0b\r\nc", "\ud800 alone", "x" * 2_000_000]
)
def test_a_text_comes_back_exactly(node, text):
    node.write_data(text)
    settle(node)
    assert node.get_data().kind == "text"
    assert node.read_data() == text


@pytest.mark.parametrize("data", [b"abc", b"", b"\0\xff" * 1000, bytearray(b"xy"), memoryview(b"xyz")])
def test_bytes_come_back_exactly(node, data):
    node.write_data(data)
    settle(node)
    assert node.get_data().kind == "bytes"
    assert node.read_data() == bytes(data)
    assert type(node.read_data()) is bytes


def test_a_window_of_bytes_is_bytes(node):
    node.write_data(b"abcdef")
    settle(node)
    assert node.read_data(2, 4) == b"cd"
    assert list(node.iter_data_blocks(4)) == [b"abcd", b"ef"]


def test_a_window_of_a_text_is_refused(node):
    node.write_data("hello")
    with pytest.raises(InvalidRangeError, match="is a text, which is read whole"):
        node.read_data(1, 2)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (np.array([1, None]), "arrays of objects"),
        ([[1, 2], [3]], "cannot become an array"),
        (np.ma.masked_array([1, 2], mask=[False, True]), "would lose its mask"),
        (None, "NoneType is not an array"),
        ({"a": 1}, "dict is not an array"),
        ({1, 2}, "set is not an array"),
        (object(), "arrays of objects"),
        ((x for x in (1, 2)), "arrays of objects"),
        (2**80, "int cannot become an array: its integers fit neither 64 bits nor"),
        (np.zeros(3, "V0"), "no bytes"),
        (np.zeros(3, []), "no bytes"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_what_cannot_be_stored_is_refused_and_named(node, data, why):
    with pytest.raises(InvalidDataError, match=f"payload 'data' of .*{why}"):
        node.write_data(data)
    assert not node.has_data()


# -- if_exists ------------------------------------------------------------------------------------


def test_writing_again_replaces(node):
    node.write_data(np.arange(5), samplerate_hz=10, metadata={"a": 1})
    node.write_data("text")
    settle(node)
    assert node.read_data() == "text"
    assert node.get_data().metadata == {}


def test_writing_again_is_an_error_if_asked_to_be(node):
    node.write_data(np.arange(5))
    with pytest.raises(PayloadExistsError, match="has a payload 'data' already"):
        node.write_data([1], if_exists="error")
    settle(node)
    assert node.read_data().tolist() == [0, 1, 2, 3, 4]


def test_writing_the_first_time_is_no_error(node):
    node.write_data([1], if_exists="error")
    assert node.read_data().tolist() == [1]


def test_writing_again_appends_if_asked_to(node):
    node.write_data(np.arange(3))
    node.write_data(np.arange(3, 5), if_exists="append")
    settle(node)
    assert node.read_data().tolist() == [0, 1, 2, 3, 4]


def test_a_payload_cannot_take_the_place_of_an_attribute(node):
    node.set_attribute("data", 5)
    for if_exists in ("replace", "error", "append"):
        with pytest.raises(PayloadExistsError, match=r"'data' of .* is a value and no payload"):
            node.write_data([1], if_exists=if_exists)
    assert node.get_attribute("data") == 5
    assert not node.has_data()


@pytest.mark.parametrize("name", ["_samplerate_hz", "_backend", "_data_attribute"])
def test_a_payload_cannot_take_the_place_of_a_default_of_the_node(node, name):
    with pytest.raises(LotdbError):
        node.write_data([1.0], data_attribute=name)
    node.write_data([1.0, 2.0])
    assert node.read_data().tolist() == [1, 2]


# -- append ---------------------------------------------------------------------------------------


def test_append_makes_the_payload_the_first_time(node):
    node.append_data(np.arange(3), samplerate_hz=10)
    settle(node)
    assert node.read_data().tolist() == [0, 1, 2]
    assert node.get_data().samplerate_hz == 10


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (np.zeros(3, "i2"), np.zeros(3, "f8"), "dtype int16, the new data float64"),
        (np.zeros(3, ">i4"), np.zeros(3, "<i4"), "dtype"),
        (np.zeros((3, 2)), np.zeros((3, 3)), r"shape of a row \(2,\), the new data \(3,\)"),
        (np.zeros((3, 2)), np.zeros(3), "shape of a row"),
        (np.zeros(3), np.float64(0), "both need rows"),
        (np.float64(0), np.zeros(3), "both need rows"),
        ("text", b"bytes", "kind text, the new data bytes"),
        (np.zeros(3, "u1"), b"bytes", "kind array, the new data bytes"),
    ],
)
def test_appending_what_does_not_fit_is_refused_and_says_why(node, first, second, what):
    node.write_data(first)
    with pytest.raises(DataMismatchError, match=f"payload 'data' of .*{what}"):
        node.append_data(second)
    settle(node)
    assert node.get_data().shape == (np.shape(first) if not isinstance(first, str) else (4,))


def test_appending_with_another_rate_is_refused(node):
    node.write_data(np.zeros(3), samplerate_hz=10)
    with pytest.raises(DataMismatchError, match=r"sample rate 10\.0, the new data 20\.0"):
        node.append_data(np.zeros(3), samplerate_hz=20)
    node.append_data(np.zeros(3), samplerate_hz=10)
    assert len(node.get_data()) == 6


def test_appending_does_not_ask_the_nodes_new_defaults(node):
    node.write_data(np.zeros(3), samplerate_hz=10)
    node.configure_data(samplerate_hz=20)
    node.append_data(np.zeros(3))
    assert node.get_data().samplerate_hz == 10
    assert len(node.get_data()) == 6


class OtherBackend(MemoryBackend):
    name = "other"


class OtherPlugin:
    @hookimpl
    def lotdb_get_backend(self, name):
        return OtherBackend if name == "other" else None


def test_appending_with_another_backend_is_refused():
    plugins = Plugins()
    plugins.register(OtherPlugin())
    node = DataNode("node", backend="other", plugins=plugins)
    node.write_data(np.zeros(3))
    with pytest.raises(DataMismatchError, match="backend other, the new data blob"):
        node.append_data(np.zeros(3), backend="blob")
    node.configure_data(backend="blob")
    node.append_data(np.zeros(3))
    assert node.get_data().backend == "other"


def test_appended_metadata_is_added_to_what_is_there(node):
    node.write_data(np.zeros(3), metadata={"a": 1, "b": 2})
    node.append_data(np.zeros(3), metadata={"b": 3})
    settle(node)
    assert node.get_data().metadata == {"a": 1, "b": 3}


def test_nothing_appended_changes_nothing(node):
    node.write_data(np.arange(3))
    node.append_data(np.arange(0))
    settle(node)
    assert node.read_data().tolist() == [0, 1, 2]


def test_rows_of_no_width_can_be_appended(node):
    node.write_data(np.zeros((3, 0)))
    node.append_data(np.zeros((2, 0)))
    settle(node)
    assert node.read_data().shape == (5, 0)


def test_appending_a_text_continues_it(node):
    node.write_data("naï")
    node.append_data("ve 🎧")
    settle(node)
    assert node.read_data() == "naïve 🎧"


def test_many_appends_in_one_transaction_give_few_segments(node):
    for i in range(500):
        node.append_data(np.arange(i * 10, i * 10 + 10))
    settle(node)
    assert node.read_data().tolist() == list(range(5000))
    if node.get_data().backend == "blob" and node.path:
        assert len(node.get_data().segments()) == 1


def test_many_appends_in_memory_give_few_segments():
    node = DataNode()
    for i in range(500):
        node.append_data(np.arange(i * 10, i * 10 + 10))
    assert len(node.get_data().segments()) <= 1 + math.log2(500)


def test_many_transactions_of_appends_give_few_segments(db):
    root = db.open_connection()
    node = root.get_data_node("a")
    for i in range(200):
        node.append_data(np.arange(i * 10, i * 10 + 10))
        db.commit()
        assert len(node.get_data().segments()) <= 1 + math.log2(i + 2)
    assert node.read_data().tolist() == list(range(2000))
    for start in range(0, 2000, 77):
        assert node.read_data(start, start + 77).tolist() == list(range(start, min(start + 77, 2000)))


@pytest.mark.parametrize("megabytes", [(25, 20), (31, 2), (17, 17, 1)])
def test_a_small_append_to_a_long_payload_writes_no_large_segment_anew(db, megabytes):
    with db.connection() as root:
        for size in megabytes:
            root.get_data_node("n").append_data(np.zeros((size << 20, 1), "u1"))
    large = [
        segment.files for segment in db.open_connection()["n"].get_data().segments() if segment.rows > 1 << 24
    ]
    for number in range(5):
        with db.connection() as root:
            root["n"].append_data(np.full((38_400, 1), number, "u1"))
    with db.connection() as root:
        payload = root["n"].get_data()
        assert [segment.files for segment in payload.segments()][: len(large)] == large
        assert payload[-38_400 * 5 :: 38_400].ravel().tolist() == [0, 1, 2, 3, 4]


def test_what_is_appended_after_an_abort_follows_what_was_committed(db):
    root = db.open_connection()
    for number in range(6):
        root.get_data_node("n").append_data(np.full(10, number))
        if number % 2:
            db.abort()
        else:
            db.commit()
    assert root["n"].read_data()[::10].tolist() == [0, 2, 4]
    db.commit()
    assert db.verify() == []


def test_appends_of_mixed_sizes_keep_the_rows_in_order(db):
    root, rng = db.open_connection(), np.random.default_rng(0)
    node, expected = root.get_data_node("a"), []
    for i, rows in enumerate(rng.integers(1, 60_000, 60)):
        block = np.arange(len(expected), len(expected) + rows)
        expected.extend(block.tolist())
        node.append_data(block)
        if i % 3 == 0:
            db.commit()
    db.commit()
    assert node.read_data().tolist() == expected
    assert db.verify() == []


def test_appends_to_several_payloads_in_turn_keep_them_apart(node):
    for i in range(100):
        for name in "xyz":
            node.append_data(np.full(3, i), data_attribute=name)
    settle(node)
    for name in "xyz":
        assert node.read_data(data_attribute=name).tolist() == np.repeat(np.arange(100), 3).tolist()


# -- files ----------------------------------------------------------------------------------------


def test_small_arrays_share_one_file(db, tmp_path):
    root = db.open_connection()
    for i in range(100):
        root.get_data_node(f"n{i:03}").write_data(np.full((10, 6), i, "f4"))
    db.commit()
    assert len(blobs(tmp_path)) == 1
    for i in range(100):
        assert root[f"n{i:03}"].read_data().tolist() == np.full((10, 6), i).tolist()


def test_small_arrays_of_different_layouts_have_a_file_each(db, tmp_path):
    root = db.open_connection()
    for i in range(30):
        root.get_data_node(f"n{i}").write_data(np.zeros((4, i % 3 + 1)))
    db.commit()
    assert len(blobs(tmp_path)) == 3


def test_a_blob_file_is_a_numpy_file(db, tmp_path):
    root = db.open_connection()
    root.get_data_node("a").write_data(np.arange(12, dtype=">i4").reshape(4, 3))
    db.commit()
    (file,) = blobs(tmp_path)
    stored = np.load(file)
    assert_same(stored, np.arange(12, dtype=">i4").reshape(4, 3))


def test_what_was_aborted_leaves_no_file(db, tmp_path):
    root = db.open_connection()
    root.get_data_node("a").write_data(np.arange(500_000))
    root["a"].write_data(np.arange(5), data_attribute="small")
    db.abort()
    db.commit()
    assert blobs(tmp_path) == []
    left = [path for path in (tmp_path / "db" / "lotdb.fs.blobs").rglob("*") if path.is_file()]
    assert [path.name for path in left] == [".layout"]


# -- windows --------------------------------------------------------------------------------------

WINDOWS = [
    (None, None), (0, 10), (3, 7), (5, 5), (-3, None), (None, -3), (-5, -2), (8, 100), (100, 200),
    (-100, 3), (np.int64(2), np.uint8(5)), (2.0, 5.0), (0, 10**30), (-(10**30), 10**30),
]  # fmt: skip


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


# -- blocks ---------------------------------------------------------------------------------------


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


# -- slicing --------------------------------------------------------------------------------------

SLICED = np.arange(7 * 3 * 2).reshape(7, 3, 2)
INDICES = npst.basic_indices(SLICED.shape, max_dims=5, allow_newaxis=True, allow_ellipsis=True)


@pytest.fixture(scope="module")
def payload(tmp_path_factory):
    """A payload of two segments."""
    with LOTDB(tmp_path_factory.mktemp("sliced"), durability="process") as db, db.connection() as root:
        node = root.get_data_node("a")
        node.write_data(SLICED[:5])
        db_root = db.open_connection()
        db.run(lambda root: root.get_data_node("b").write_data(SLICED[:5]))
        db.run(lambda root: root["b"].append_data(SLICED[5:]))
        db.abort()
        yield db_root["b"].get_data()


@given(index=INDICES)
def test_a_basic_index_takes_what_numpy_takes(payload, index):
    got, expected = payload[index], SLICED[index]
    assert type(got) is type(expected)
    assert_same(np.asarray(got), np.asarray(expected))


@given(index=npst.integer_array_indices(SLICED.shape))
def test_an_integer_array_takes_what_numpy_takes(payload, index):
    assert_same(np.asarray(payload[index]), np.asarray(SLICED[index]))


@given(mask=npst.arrays(bool, st.sampled_from([(7,), (7, 3), (7, 3, 2)])))
def test_a_mask_takes_what_numpy_takes(payload, mask):
    assert_same(payload[mask], SLICED[mask])


@pytest.mark.parametrize(
    "index",
    [
        (slice(1, 5), [0, 2]), (3, [0, 1]), (3, slice(None), [0, 1]), (slice(None, None, -2), 1),
        ([1, 1, 0],),
        ([-1, 0], [2, 0], 1), np.array(2), np.int8(-1), (np.uint8(3), 0), (), (Ellipsis, 0), None, (None, 2),
        True, False, np.True_, (slice(2, 5), np.array([True, False, True])),
        slice(np.int64(1), np.int64(3)),
    ],
)  # fmt: skip
def test_an_advanced_index_takes_what_numpy_takes(payload, index):
    assert_same(np.asarray(payload[index]), np.asarray(SLICED[index]))


@pytest.mark.parametrize("index", [7, -8, 10**30, (0, 3), (0, 0, 0, 0), 1.5, "a", [7], (slice(None), 9)])
def test_an_index_that_numpy_refuses_is_an_index_error(payload, index):
    with pytest.raises(IndexError):
        SLICED[index]
    with pytest.raises(IndexError):
        payload[index]


@pytest.mark.parametrize("index", [7, -8, 1.5, "a", (0, 3)])
def test_an_index_that_is_refused_is_an_error_of_lotdb_that_names_the_payload(payload, index):
    with pytest.raises(LotdbError, match="payload 'data' of node 'b'"):
        payload[index]


def test_a_field_of_a_structured_payload_can_be_taken(node):
    array = np.array([(1, 2.5), (3, 4.5)], [("a", "i2"), ("b", "f8")])
    node.write_data(array)
    assert node.get_data()["b"].tolist() == [2.5, 4.5]
    assert node.get_data()[1]["a"] == 3


def test_len_and_iteration_go_by_rows(payload):
    assert len(payload) == 7
    assert [row.tolist() for row in payload] == SLICED.tolist()


def test_iteration_over_more_rows_than_are_read_at_once(node):
    node.write_data(np.arange(400_000))
    settle(node)
    assert sum(1 for i, value in enumerate(node.get_data()) if i == value) == 400_000


def test_an_array_without_axes_has_no_length(node):
    payload = node.write_data(3.5)
    with pytest.raises(TypeError):
        len(np.array(3.5))
    with pytest.raises(TypeError):
        len(payload)
    with pytest.raises(LotdbError, match="no axis"):
        len(payload)


def test_numpy_functions_take_a_payload(payload):
    assert np.mean(payload) == SLICED.mean()
    assert np.asarray(payload, dtype="f4").dtype == np.dtype("f4")
    assert (np.asarray(payload) + 1 == SLICED + 1).all()
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(payload, copy=False)


# -- metadata and several payloads ----------------------------------------------------------------


def test_metadata_comes_back_with_its_types_and_as_a_copy_of_ones_own(node):
    given_ = {"unit": "g", "axes": ["x", "y"], "scale": np.float32(0.5), "calibration": np.eye(2)}
    payload = node.write_data(np.zeros(3), metadata=given_, content_type="application/x-imu")
    given_["axes"].append("z")
    payload.metadata["axes"].append("w")
    settle(node)
    got = node.get_data().metadata
    assert got["axes"] == ["x", "y"]
    assert type(got["scale"]) is np.float32
    assert got["calibration"].tolist() == [[1, 0], [0, 1]]
    assert node.get_data().content_type == "application/x-imu"


def test_a_node_holds_several_payloads(node):
    node.write_data(np.arange(3), data_attribute="audio")
    node.write_data("note", data_attribute="text")
    settle(node)
    assert node.has_data("audio")
    assert node.has_data("text")
    assert not node.has_data()
    assert node.read_data(data_attribute="audio").tolist() == [0, 1, 2]
    assert node.read_data(data_attribute="text") == "note"


def test_a_second_payload_does_not_change_the_nodes_defaults(node):
    node.configure_data(samplerate_hz=10, data_attribute="imu")
    defaults = (node.samplerate_hz, node.data_attribute, node.backend)
    node.write_data(np.arange(20))
    node.write_data(np.arange(20), data_attribute="control", samplerate_hz=99, backend="blob")
    settle(node)
    assert (node.samplerate_hz, node.data_attribute, node.backend) == defaults
    assert node.get_data().samplerate_hz == 10
    assert node.get_data("control").samplerate_hz == 99
    node.write_data(np.arange(5))
    assert node.get_data("imu").samplerate_hz == 10


def test_delete_data_removes_one_payload(node):
    node.write_data([1])
    node.write_data([2], data_attribute="other")
    settle(node)
    node.delete_data()
    settle(node)
    assert not node.has_data()
    assert node.read_data(data_attribute="other").tolist() == [2]


@pytest.mark.parametrize("method", ["delete_data", "get_data"])
def test_a_missing_payload_is_a_key_error_that_says_what_is_there(node, method):
    node.write_data([1], data_attribute="imu")
    with pytest.raises(PayloadNotFoundError, match=r"has no payload 'data' \(there: 'imu'\)"):
        getattr(node, method)()
    with pytest.raises(KeyError):
        node.read_data()


def test_a_payload_keeps_reading_the_old_rows_after_a_replace(node):
    node.write_data(np.arange(5))
    settle(node)
    old = node.get_data()
    node.replace_data(np.zeros(2))
    settle(node)
    assert old.read().tolist() == [0, 1, 2, 3, 4]
    node.delete_data()
    settle(node)
    assert old[1:3].tolist() == [1, 2]


def test_a_payload_keeps_reading_the_old_rows_after_an_append(node):
    old = node.write_data(np.arange(5))
    node.append_data(np.arange(5, 9))
    assert old.read().tolist() == [0, 1, 2, 3, 4]
    settle(node)
    assert old.read().tolist() == [0, 1, 2, 3, 4]


def test_a_payload_of_a_closed_connection_says_so(db):
    with db.connection() as root:
        payload = root.get_data_node("a").write_data(np.arange(5))
    assert payload.shape == (5,)
    with pytest.raises(ClosedError, match="closed"):
        payload.read()


def test_a_payload_of_an_aborted_transaction_is_not_called_damaged(db):
    node = db.open_connection().get_data_node("a")
    payload = node.write_data(np.arange(5))
    db.abort()
    with pytest.raises(LotdbError) as info:
        payload.read()
    assert not isinstance(info.value, DamagedError)


# -- DataReader and DataWriter --------------------------------------------------------------------


@pytest.fixture(params=["memory", "database"])
def plain(request):
    if request.param == "memory":
        return BaseNode("plain")
    return request.getfixturevalue("db").open_connection().get_node("plain")


def test_any_node_can_hold_arrays(plain):
    DataWriter.write_array(plain, np.arange(100), 10, data_attribute="signal")
    assert type(plain) is BaseNode
    assert DataReader.read(plain, "signal").tolist() == list(range(100))
    assert DataReader.read_interval(plain, "signal", 10, 12).tolist() == [10, 11]
    assert DataReader.read_interval(plain, "signal", 1, 1.2, "seconds").tolist() == [10, 11]
    assert DataReader.read_seconds(plain, "signal", 1, 1.2).tolist() == [10, 11]
    assert [len(block) for block in DataReader.iter_blocks(plain, "signal", 40)] == [40, 40, 20]
    assert DataReader.open(plain, "signal").shape == (100,)


def test_arrays_of_any_node_can_be_appended_to_and_deleted(plain):
    DataWriter.append_array(plain, np.arange(3))
    DataWriter.append_array(plain, np.arange(2))
    assert DataReader.read(plain).tolist() == [0, 1, 2, 0, 1]
    assert DataWriter.has_data(plain)
    DataWriter.delete_data(plain)
    assert not DataWriter.has_data(plain)


def test_any_node_can_hold_texts_and_bytes(plain):
    DataWriter.write_text(plain, "hello", data_attribute="text")
    DataWriter.write_bytes(plain, b"hello", data_attribute="bytes")
    assert DataReader.read(plain, "text") == "hello"
    assert DataReader.read(plain, "bytes") == b"hello"


@pytest.mark.parametrize(
    ("write", "data"),
    [("write_array", "text"), ("write_array", b"bytes"), ("write_text", b"bytes"), ("write_bytes", "text")],
)
def test_each_writer_takes_its_own_kind_only(plain, write, data):
    with pytest.raises(InvalidDataError):
        getattr(DataWriter, write)(plain, data)
    assert not DataWriter.has_data(plain)


# -- damage ---------------------------------------------------------------------------------------


@pytest.fixture
def damage(tmp_path):
    """Damages the only blob file of a closed database; gives the node's payload and the file."""

    def damaged(how, rows=200_000):
        with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
            root.get_data_node("subject/imu", samplerate_hz=100).write_data(np.arange(rows))
        (file,) = blobs(tmp_path)
        file.chmod(0o600)
        how(file)
        db = LOTDB(tmp_path, durability="process")
        opened.append(db)
        return db, db.open_connection()["subject/imu"].get_data(), file

    opened = []
    yield damaged
    for db in opened:
        db.close()


def flip(at):
    def how(file):
        data = bytearray(file.read_bytes())
        data[at] ^= 4
        file.write_bytes(data)

    return how


def truncate(file):
    file.write_bytes(file.read_bytes()[:1_000_000])


def empty(file):
    file.write_bytes(b"")


def foreign(file):
    file.write_bytes(b"something else" * 200_000)


def remove(file):
    file.unlink()


HARMS = {
    "flipped bit": flip(-5),
    "truncated": truncate,
    "empty": empty,
    "foreign": foreign,
    "missing": remove,
    "flipped bit of the header's length": flip(8),
}


@pytest.mark.parametrize("harm", HARMS)
def test_damage_is_an_error_that_names_node_payload_and_file(damage, harm):
    _, payload, file = damage(HARMS[harm])
    with pytest.raises(DamagedError, match="payload 'data' of node 'subject/imu'") as info:
        payload.read()
    assert file.name in str(info.value)
    with pytest.raises(OSError, match="subject/imu"):
        payload.read()


@pytest.mark.parametrize("harm", HARMS)
def test_verify_lists_damage_with_node_payload_and_file(damage, harm):
    db, _, file = damage(HARMS[harm])
    (found,) = db.verify()
    assert (found.path, found.name) == ("subject/imu", "data")
    assert file.name in found.reason


def test_verify_of_a_sound_database_lists_nothing(db):
    root = db.open_connection()
    for i, array in enumerate(ARRAYS.values()):
        root.get_data_node(f"n{i}").write_data(array)
    root["n0"].branch("copy")
    db.commit()
    assert db.verify() == []


@pytest.mark.parametrize(
    ("given", "meant"),
    [("samplerate", "samplerate_hz"), ("meta_data", "metadata"), ("if_exist", "if_exists")],
)
def test_a_misspelt_argument_is_told_from_an_option_of_the_backend(node, given, meant):
    with pytest.raises(InvalidOptionError, match=rf"{given!r}.*did you mean {meant}=\?"):
        node.write_data([1, 2], **{given: 1000})
    with pytest.raises(InvalidOptionError) as info:
        node.write_data([1, 2], chunks=1000)
    assert "did you mean" not in str(info.value)
    assert not node.has_data()


def test_bytes_that_are_no_text_are_damage(node):
    payload = node.write_data(b"\xff\xfe", data_attribute="note")
    settle(node)
    stored = replace(payload._record, kind="text")
    with pytest.raises(
        DamagedError, match=r"payload 'note' of (node 'node'|the root): its bytes are no text"
    ):
        Payload(node, "note", stored).read()


def test_verify_finds_whichever_record_of_a_tree_is_damaged(tmp_path):
    file = tmp_path / "db" / "lotdb.fs"
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            root.get_node_path("few/a").attrs["text"] = "x" * 1000
            for number in range(300):
                root.get_node_path(f"many/{number:03}").attrs["number"] = number
        storage = db._zodb.storage
        records = {oid: (data, storage._index[oid]) for oid, _, data in raw_records(storage)}
    del records[z64]  # it has the id of the database, which does not open without it
    sound = file.read_bytes()
    assert len(records) > 10
    for record, position in records.values():
        at = sound.index(record, position)
        file.write_bytes(sound[:at] + bytes([record[0] ^ 1]) + sound[at + 1 :])
        with LOTDB(tmp_path / "db") as db:
            assert any("not the ones that were stored" in found.reason for found in db.verify())


@pytest.mark.parametrize("rest", [(), (None,), ("no guard",)])
def test_verify_lists_a_branch_whose_entry_is_not_as_it_was_written(db, rest):
    with db.connection() as root:
        root.get_node_path("sound/a")
        root.get_node_path("bad/a")
        container = root["bad"]._container_to_write()
        container["bad"] = (*container["bad"][:3], *rest)
    assert [found.path for found in db.verify()] == ["bad"]


def test_a_window_reads_nothing_outside_of_it(damage):
    _, payload, _ = damage(flip(-5))
    assert payload.read(0, 1000).tolist() == list(range(1000))
    assert payload[5:10].tolist() == [5, 6, 7, 8, 9]
    assert payload.read_seconds(1, 1.1).tolist() == list(range(100, 110))
    with pytest.raises(DamagedError):
        payload.read()


def test_a_window_reads_while_the_rest_of_the_file_is_gone(damage):
    _, payload, file = damage(truncate)
    assert payload[1000:1003].tolist() == [1000, 1001, 1002]
    with pytest.raises(DamagedError, match="payload 'data' of node 'subject/imu'") as info:
        payload[199_000:]
    assert file.name in str(info.value)


def test_a_damaged_payload_does_not_keep_others_from_being_read(db, tmp_path):
    with db.connection() as root:
        root.get_data_node("a").write_data(np.arange(200_000))
        root.get_data_node("b").write_data(np.arange(5))
    max(blobs(tmp_path), key=lambda file: file.stat().st_size).unlink()
    with db.connection() as root:
        assert root["b"].read_data().tolist() == [0, 1, 2, 3, 4]
        with pytest.raises(DamagedError):
            root["a"].read_data()
    assert [found.path for found in db.verify()] == ["a"]


# -- any array, any history -----------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=npst.arrays(
        dtype=st.one_of(
            npst.integer_dtypes(endianness="?"),
            npst.floating_dtypes(endianness="?"),
            npst.complex_number_dtypes(),
            npst.datetime64_dtypes(),
            npst.byte_string_dtypes(min_len=1),
            npst.unicode_string_dtypes(min_len=1),
            npst.array_dtypes(allow_subarrays=False),
        ),
        shape=npst.array_shapes(min_dims=0, min_side=0, max_dims=4),
    )
)
def test_any_array_comes_back(db, array):
    node = db.open_connection().get_data_node("a")
    node.write_data(array)
    db.commit()
    assert_same(node.read_data(), array)


def test_a_write_that_failed_does_not_keep_the_transaction_from_being_committed(db, tmp_path, monkeypatch):
    from lotdb_backend_blob import backend

    root = db.open_connection()
    node = root.get_data_node("a")
    node.write_data(np.arange(10))
    real = backend._write_all

    def full(descriptor, data):
        real(descriptor, data[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(backend, "_write_all", full)
        with pytest.raises(OSError, match="No space"):
            node.write_data(np.arange(1_000_000))
    assert node.read_data().tolist() == list(range(10))
    db.commit()
    db.pack()
    assert node.read_data().tolist() == list(range(10))
    assert len(list(tmp_path.glob("**/*.blob"))) == 1
