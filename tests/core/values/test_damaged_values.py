"""Damaged and unknown values: kept as they are, and nothing of them is run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.values.sameness import PLAIN_VALUES, VALUES, Colour, Text, same

from lotdb.errors import UnsupportedValueError
from lotdb.values.undecodable import Undecodable
from lotdb.values.values import decode, encode, encoded_size

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
    assert same(decode(encoded), decode(encoded))


@given(VALUES, st.data())
def test_decoding_a_value_with_one_part_exchanged_never_fails(value, data):
    encoded = encode(value, name="x")
    if type(encoded) is tuple:
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded = (*encoded[:place], data.draw(ANYTHING), *encoded[place + 1 :])
    assert same(decode(encoded), decode(encoded))
