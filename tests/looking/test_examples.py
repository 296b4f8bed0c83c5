"""The examples in the docstrings of the room are true."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["envelope", "png", "wording"])
def test_the_examples_of_a_module_are_true(name):
    module = importlib.import_module(f"lotdb.looking.{name}")
    failed, tried = doctest.testmod(module, extraglobs={"np": importlib.import_module("numpy")})
    assert failed == 0
    assert tried > 0
