"""What the tests of storages share: a database in SQLite, with a backend whose locators are texts."""

import runpy
import shutil
from pathlib import Path

import pytest

from lotdb import LOTDB

npy_backend = runpy.run_path(str(Path(__file__).parents[1] / "npy_backend.py"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def backend():
    return "blob"


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """An empty database, which is quicker to copy than to create."""
    pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")
    folder = tmp_path_factory.mktemp("empty") / "data"
    LOTDB(folder, storage="sqlite", durability="process").close()
    return folder


@pytest.fixture
def opening(folder, empty):
    """Opens the database; further arguments are those of ``LOTDB``."""
    plugins = npy_backend["plugins_with"](npy_backend["NpyBackend"])

    def opening(**options):
        about = {"storage": "sqlite", "durability": "process", "plugins": plugins}
        if not folder.exists():
            shutil.copytree(empty, folder)
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
