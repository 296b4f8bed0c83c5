"""What the tests of transactions share: a database, and two connections to it."""

import runpy
from pathlib import Path

import pytest

from lotdb import LOTDB

npy_backend = runpy.run_path(str(Path(__file__).parents[1] / "npy_backend.py"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture(params=["blob", "npy"])
def backend(request):
    return request.param


@pytest.fixture
def db(folder):
    plugins = npy_backend["plugins_with"](npy_backend["NpyBackend"])
    with LOTDB(folder, plugins=plugins, durability="process") as db:
        yield db


@pytest.fixture
def mine(db):
    """The root in the connection that begins first and commits last."""
    return db.open_connection("mine")


@pytest.fixture
def theirs(db):
    return db.open_connection("theirs")
