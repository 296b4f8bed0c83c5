"""What the tests of payloads share: a data node of each kind."""

import pytest
from tests.core.payloads.stored import COMMIT

from lotdb import DataNode


@pytest.fixture(params=["memory", "staged", "committed"])
def node(request):
    """An empty data node; ``settle(node)`` brings what it holds to where it is to be read from."""
    if request.param == "memory":
        yield DataNode("node")
        return
    db = request.getfixturevalue("db")
    node = db.open_connection().get_data_node("node")
    if request.param == "committed":
        COMMIT[node.path, id(node._tree)] = db.commit
    yield node
    COMMIT.clear()
