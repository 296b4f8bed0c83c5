"""The built-in node type keeps what a node type promises."""

import pytest

from lotdb import DataNode, hookimpl
from lotdb.testing import NodeTypeTests


class Plugin:
    @hookimpl
    def lotdb_get_node_type(self, name):
        return DataNode if name == "data" else None


class TestDataNode(NodeTypeTests):
    @pytest.fixture
    def plugin(self):
        return Plugin()

    @pytest.fixture
    def node_type(self):
        return "data"
