"""Values come back with their types, nested too."""

import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.values.sameness import HASHABLE_LEAVES, OTHERS, PLAIN_VALUES, VALUES, assert_comes_back, same

from lotdb.values.values import decode, encode


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: f"{type(value).__name__}")
def test_a_value_comes_back_as_it_was(value):
    assert_comes_back(value)


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
