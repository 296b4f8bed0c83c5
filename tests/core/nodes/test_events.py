"""Listeners hear what happens to nodes and payloads."""

import pytest
from tests.core.nodes.growing import grow

from lotdb import LOTDB, BaseNode, Plugins, hookimpl


class Listener:
    def __init__(self):
        self.heard = []

    @hookimpl
    def lotdb_node_created(self, node):
        self.heard.append(("created", node.path))

    @hookimpl
    def lotdb_node_moved(self, node, old_path):
        self.heard.append(("moved", old_path, node.path))

    @hookimpl
    def lotdb_node_deleted(self, parent, key):
        self.heard.append(("deleted", parent.path, key))

    @hookimpl
    def lotdb_payload_written(self, node, name):
        self.heard.append(("written", node.path, name))


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def heard_root(listener):
    plugins = Plugins()
    plugins.register(listener)
    return BaseNode(plugins=plugins)


def test_creating_nodes_is_heard(heard_root, listener):
    heard_root.get_node_path("a/b")
    heard_root.get_node_path("a/b")
    assert listener.heard == [("created", "a"), ("created", "a/b")]


def test_moving_and_renaming_is_heard(heard_root, listener):
    grow(heard_root, "a", "b")
    listener.heard.clear()
    heard_root["a"].rename("c")
    heard_root["c"].move(heard_root["b"])
    assert listener.heard == [("moved", "a", "c"), ("moved", "c", "b/c")]


def test_deleting_is_heard(heard_root, listener):
    grow(heard_root, "a/b")
    listener.heard.clear()
    heard_root["a/b"].delete_tree()
    heard_root.delete_node("a")
    assert listener.heard == [("deleted", "a", "b"), ("deleted", "", "a")]


def test_writing_payloads_is_heard(heard_root, listener):
    node = heard_root.get_data_node("a")
    listener.heard.clear()
    node.write_data([1])
    node.append_data([2])
    node.replace_data("text", data_attribute="note")
    assert listener.heard == [("written", "a", "data"), ("written", "a", "data"), ("written", "a", "note")]


def test_branching_and_adding_are_heard_as_creation(heard_root, listener):
    grow(heard_root, "a")
    listener.heard.clear()
    heard_root["a"].branch("b")
    heard_root.add_tree(BaseNode("c"))
    assert listener.heard == [("created", "b"), ("created", "c")]


def test_a_listener_that_takes_fewer_arguments_is_heard():
    class Brief:
        heard: list[str] = []  # noqa: RUF012

        @hookimpl
        def lotdb_node_deleted(self, key):
            self.heard.append(key)

    plugins = Plugins()
    plugins.register(Brief())
    root = BaseNode(plugins=plugins)
    root.get_node("a").delete_tree()
    assert Brief.heard == ["a"]


def test_what_a_listener_raises_comes_out_as_it_is_with_its_name(tmp_path):
    class Failing:
        @hookimpl
        def lotdb_node_created(self, node):
            raise RuntimeError("disk on fire")

    plugins = Plugins()
    plugins.register(Failing(), name="fire-alarm")
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db:
        with pytest.raises(RuntimeError, match="disk on fire") as info, db.connection() as root:
            root.get_node("a")
        assert info.value.__notes__ == ["lotdb_node_created of plugin 'fire-alarm' refused this change"]
        with db.connection() as root:
            assert len(root) == 0
