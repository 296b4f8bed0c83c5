"""Limits on the size and the depth of a value."""

import datetime as dt
import pathlib
from decimal import Decimal
from ipaddress import IPv4Address

import numpy as np
import pytest
from hypothesis import given
from tests.core.values.sameness import DTYPES, VALUES, Registered, assert_comes_back, pickled

from lotdb.errors import ValueTooLargeError
from lotdb.values.values import MAX_DEPTH, MAX_VALUE_BYTES, encode, encoded_size
from lotdb.values.valuetype import ValueType


@pytest.mark.sampled(4)
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
