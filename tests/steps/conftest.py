"""A capture in a database, for the tests of steps."""

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode, DataNode


@pytest.fixture(params=["memory", "file"])
def root(request, tmp_path):
    """The root of a tree; tests that need a database use `database`."""
    if request.param == "memory":
        yield BaseNode("root")
        return
    with LOTDB(tmp_path / "db") as db, db.connection() as top:
        yield top


@pytest.fixture
def capture(root):
    """A node with a payload and an attribute."""
    node = root.get_data_node("S01/capture")
    node.write_data(np.arange(600.0).reshape(100, 6), data_attribute="imu", samplerate_hz=50)
    node.attrs["label"] = "walk"
    assert isinstance(node, DataNode)
    return node


@pytest.fixture
def database(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        yield db
