"""add_tree: moves and copies, within a tree, into a database and between two."""

import numpy as np
import pytest
from tests.core.nodes.growing import below, grow

from lotdb import LOTDB, BaseNode, DataNode, NodeExistsError, WrongNodeError


def test_add_tree_of_a_node_of_the_same_tree_moves_it(root):
    grow(root, "a/x", "b")
    added = root["b"].add_tree(root["a/x"])
    assert added == root["b/x"]
    assert below(root) == ["a", "b", "b/x"]


def test_add_tree_with_copy_leaves_the_original(root):
    grow(root, "a/x/y", "b")
    root["b"].add_tree(root["a/x"], copy=True)
    root["b/x/y"].set_attribute("path", "changed")
    assert below(root) == ["a", "a/x", "a/x/y", "b", "b/x", "b/x/y"]
    assert root["a/x/y"].get_attribute("path") == "a/x/y"


@pytest.mark.parametrize("copy", [False, True])
def test_add_tree_refuses_to_replace_unless_asked_to(root, copy):
    grow(root, "a/x", "b/x/old")
    with pytest.raises(NodeExistsError, match="node 'b' has a child 'x' already"):
        root["b"].add_tree(root["a/x"], copy=copy)
    assert below(root) == ["a", "a/x", "b", "b/x", "b/x/old"]


@pytest.mark.parametrize("copy", [False, True])
def test_add_tree_replaces_when_asked_to(root, copy):
    grow(root, "a/x/new", "b/x/old")
    root["b"].add_tree(root["a/x"], copy=copy, if_exists="replace")
    assert below(root["b"]) == ["x", "x/new"]
    assert ("x" in root["a"]) is copy


@pytest.mark.parametrize("copy", [False, True])
def test_add_tree_finds_a_free_key_when_asked_to(root, copy):
    grow(root, "a/x", "b/x", "b/x_2")
    added = root["b"].add_tree(root["a/x"], copy=copy, if_exists="rename")
    assert added.path == "b/x_3"
    assert added.get_attribute("path") == "a/x"


def test_a_copy_beside_the_original_gets_a_free_key_when_asked_to(root):
    grow(root, "a/x")
    added = root["a"].add_tree(root["a/x"], copy=True, if_exists="rename")
    assert added.path == "a/x_2"
    assert list(root["a"]) == ["x", "x_2"]


def test_a_copy_onto_the_original_itself_is_refused(root):
    grow(root, "a/x")
    with pytest.raises(NodeExistsError):
        root["a"].add_tree(root["a/x"], copy=True)


def test_moving_a_node_to_where_it_is_changes_nothing(root):
    grow(root, "a/x")
    assert root["a"].add_tree(root["a/x"]) == root["a/x"]
    assert below(root) == ["a", "a/x"]


def test_a_node_can_replace_its_own_parent(root):
    grow(root, "a/b/c", "a/other")
    root.add_tree(root["a/b"], key="a", if_exists="replace")
    assert below(root) == ["a", "a/c"]
    assert root["a"].get_attribute("path") is None or root["a"].get_attribute("path") == "a/b"


def test_a_node_can_be_copied_below_itself(root):
    grow(root, "a/b")
    root["a/b"].add_tree(root["a"], copy=True)
    assert below(root) == ["a", "a/b", "a/b/a", "a/b/a/b"]


def test_the_root_can_be_copied_below_itself(root):
    grow(root, "a/b")
    root.add_tree(root, key="copy", copy=True)
    assert below(root) == ["a", "a/b", "copy", "copy/a", "copy/a/b"]
    root["copy/a/b"].set_attribute("path", "changed")
    assert root["a/b"].get_attribute("path") == "a/b"


def test_adding_a_tree_in_memory_makes_it_part_of_the_database(db):
    root = db.open_connection()
    tree = DataNode("t", samplerate_hz=10)
    tree.write_data(np.arange(20))
    inner = tree.get_node("inner")
    added = root.get_node("a").add_tree(tree)
    inner.set_attribute("x", 1)
    assert added == tree == root["a/t"]
    assert root["a/t/inner"].get_attribute("x") == 1
    assert root["a/t"].read_seconds(0, 0.5).tolist() == [0, 1, 2, 3, 4]
    assert root["a/t"].get_data().backend == "blob"


def test_part_of_a_tree_in_memory_can_be_added(db):
    root = db.open_connection()
    tree = BaseNode("t")
    grow(tree, "a/b", "c")
    root.add_tree(tree["a"])
    assert below(root) == ["a", "a/b"]
    assert below(tree) == ["c"]


def test_a_copy_of_a_tree_in_memory_leaves_it_in_memory(db):
    root = db.open_connection()
    tree = BaseNode("t")
    grow(tree, "a")
    root.add_tree(tree, copy=True)
    root["t/a"].set_attribute("path", "changed")
    assert tree["a"].get_attribute("path") == "a"


def test_trees_in_memory_can_be_added_to_each_other():
    one, two = BaseNode("one"), BaseNode("two")
    two.get_data_node("x").write_data(np.arange(3))
    one.add_tree(two)
    assert below(one) == ["two", "two/x"]
    assert one["two/x"].read_data().tolist() == [0, 1, 2]


def test_an_added_tree_survives_reopening(tmp_path):
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        tree = BaseNode("t")
        tree.get_data_node("x").write_data(np.arange(3))
        root.add_tree(tree)
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        assert root["t/x"].read_data().tolist() == [0, 1, 2]


def test_a_node_of_another_database_is_not_moved(db, tmp_path):
    with LOTDB(tmp_path / "other", durability="process") as other, other.connection() as theirs:
        grow(theirs, "a")
        mine = db.open_connection()
        with pytest.raises(WrongNodeError, match="copy=True"):
            mine.add_tree(theirs["a"])
        assert len(mine) == 0
        assert list(theirs) == ["a"]


def test_a_node_of_another_connection_is_not_moved(db):
    one, two = db.open_connection("one"), db.open_connection("two")
    grow(one, "a")
    with pytest.raises(WrongNodeError, match="copy=True"):
        two.add_tree(one["a"])


def test_a_copy_from_another_database_brings_the_payloads(tmp_path, db):
    with LOTDB(tmp_path / "other", durability="process") as other:
        with other.connection() as theirs:
            node = theirs.get_data_node("a/x", samplerate_hz=50)
            node.write_data(np.arange(1000), metadata={"unit": "mV"})
            node.write_data("text", data_attribute="note")
        with other.connection() as theirs, db.connection() as mine:
            mine.add_tree(theirs["a"], copy=True)
    with db.connection() as mine:
        payload = mine["a/x"].get_data()
        assert payload[...].tolist() == list(range(1000))
        assert payload.metadata == {"unit": "mV"}
        assert payload.samplerate_hz == 50
        assert mine["a/x"].read_data(data_attribute="note") == "text"


@pytest.mark.parametrize("other", [None, "a", 5, object(), {"a": 1}])
def test_add_tree_of_what_is_no_node_says_so(root, other):
    with pytest.raises(WrongNodeError, match="pass a node"):
        root.add_tree(other)
    with pytest.raises(TypeError):
        root.add_tree(other)
