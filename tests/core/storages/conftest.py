"""What the tests of storages share: a database in SQLite, with a backend whose locators are texts."""

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
def opening(folder):
    """Opens the database; further arguments are those of ``LOTDB``."""
    pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")
    plugins = npy_backend["plugins_with"](npy_backend["NpyBackend"])

    def opening(**options):
        about = {"storage": "sqlite", "durability": "process", "plugins": plugins}
        return LOTDB(folder, **{**about, **options})

    return opening


@pytest.fixture
def db(opening):
    with opening() as db:
        yield db


@pytest.fixture
def mine(db):
    """The root in the connection that begins first and commits last."""
    return db.open_connection("mine")


@pytest.fixture
def theirs(db):
    return db.open_connection("theirs")
