"""What can be stored as a payload, and what is refused."""

import numpy as np
import pytest
from tests.core.payloads.stored import ARRAYS, assert_same, settle

from lotdb import BaseNode, InvalidDataError, InvalidRangeError


@pytest.mark.sampled(16)
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
        (object(), "object is not an array"),
        ((x for x in (1, 2)), r"generator is not an array, .*Blocks of arrays, or list\(x\)"),
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
