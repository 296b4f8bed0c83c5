"""Value types that plugins register."""

import dataclasses
import pathlib
import sys
from ipaddress import IPv4Address

import pytest
from tests.core.values.sameness import Registered, Setup, assert_comes_back

from lotdb.errors import PluginError, UnsupportedValueError, ValueTooLargeError
from lotdb.values.undecodable import Undecodable
from lotdb.values.values import decode, encode
from lotdb.values.valuetype import ValueType

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
