"""What the tests of the core share: a database, and a root of either kind."""

import pytest

from lotdb import LOTDB, BaseNode


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as database:
        yield database


@pytest.fixture
def db_of_files(tmp_path):
    """A database in which small arrays lie in files, too, and not in records of the tree."""
    backends = {"blob": {"record_bytes": 0}}
    with LOTDB(tmp_path / "db", durability="process", backends=backends) as database:
        yield database


@pytest.fixture(params=["memory", "database"])
def root(request):
    """The root of an empty tree, of either kind."""
    if request.param == "memory":
        return BaseNode(key="root")
    return request.getfixturevalue("db").open_connection()
