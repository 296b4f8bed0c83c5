"""Attribute types whose functions are objects that can be called."""

from dataclasses import dataclass

import pytest
from tests.core.values.sameness import Registered, assert_comes_back

from lotdb import ValueType
from lotdb.errors import PluginError
from lotdb.values.values import encode


@dataclass
class Box:
    value: float


@dataclass
class Rounded:  # equal to another one by its fields, and so without a hash
    digits: int

    def __call__(self, box):
        return round(box.value, self.digits)


def test_functions_need_no_hash():
    types = Registered(ValueType("acme.box", Box, encode=Rounded(3), decode=Box))
    assert_comes_back(Box(1.125), types)
    assert_comes_back(Box(2.5), types)


def test_each_type_is_proven_on_its_own():
    encode(Box(1.25), name="x", extra=Registered(ValueType("acme.box", Box, encode=Rounded(2), decode=Box)))
    with pytest.raises(PluginError, match="loses something"):
        encode(
            Box(1.25), name="x", extra=Registered(ValueType("acme.box", Box, encode=Rounded(1), decode=Box))
        )
