"""Payloads are sliced as arrays are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from tests.core.payloads.stored import assert_same, settle

from lotdb import LOTDB, LotdbError

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


@pytest.mark.sampled(1)
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
