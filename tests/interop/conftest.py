"""What the tests of other libraries' forms share: a database, and a root of either kind."""

import pytest

from lotdb import LOTDB, BaseNode


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as database:
        yield database


@pytest.fixture(params=["memory", "uncommitted", "committed", "zarr", "branch"])
def place(request):
    """Gives a node's data to a function, and the node as it is read: in any kind of tree."""
    if request.param == "memory":
        return Place(BaseNode("root"), None, "memory")
    return Place(None, request.getfixturevalue("db"), request.param)


class Place:
    """Where a test writes, and then reads."""

    def __init__(self, root, db, kind):
        self.kind = kind
        self.db = db
        self.root = root if db is None else db.open_connection()
        self.backend = "zarr" if kind == "zarr" else None

    def node(self):
        return self.root.get_data_node("study/node", backend=self.backend)

    def written(self):
        """The node, once what was written to it is where the kind says."""
        if self.kind in ("committed", "zarr"):
            self.db.commit()
        if self.kind == "branch":
            self.db.commit()
            self.root["study"].branch("other")
            return self.root["other/node"]
        return self.root["study/node"]
