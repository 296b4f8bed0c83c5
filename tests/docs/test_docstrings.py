"""The examples in docstrings give what they say."""

import doctest
import importlib.util
import pkgutil
from pathlib import Path

import pytest

import lotdb
import lotdb_backend_blob
import lotdb_backend_zarr
import lotdb_ingest

PACKAGES = lotdb, lotdb_backend_blob, lotdb_backend_zarr, lotdb_ingest


def source(name):
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if ">>> " in source(module.name)
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed
