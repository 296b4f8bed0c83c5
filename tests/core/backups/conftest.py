"""A database with payloads of both backends, and what is in it."""

import numpy as np
import pytest

from lotdb import LOTDB

# Small arrays in files, too: those in records go with the tree.
FILES = {"blob": {"record_bytes": 0}}


def fill(db, numbers):
    """A commit for each of *numbers*, with attributes and payloads of both backends."""
    for number in numbers:
        with db.connection() as root:
            node = root.get_data_node(f"group{number % 3}/node{number}")
            node.attrs["number"] = number
            node.write_data(np.arange(40.0) + number)
            if number % 3 == 0:
                other = root.get_data_node(f"zarr{number}")
                other.write_data(np.arange(3000.0) + number, backend="zarr")
            root.attrs["last"] = number


def state(db):
    """All that is in the tree."""
    with db.connection() as root:
        return {
            node.path: (
                {name: node.attrs[name] for name in node.attrs if name not in node.payloads},
                {name: node.payloads[name].read().tobytes() for name in node.payloads},
            )
            for node in root.iterate_tree()
        }


def state_of(folder, **options):
    """All that is in the database in *folder*, which is whole."""
    with LOTDB(folder, read_only=True, **options) as db:
        assert db.verify() == []
        return state(db)


def files_of(folder):
    """Size and time of change of each file below *folder*, but for the lock."""
    return {
        path.relative_to(folder): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.fixture
def source(tmp_path):
    with LOTDB(tmp_path / "source", durability="process", backends=FILES) as db:
        fill(db, range(6))
        yield db
