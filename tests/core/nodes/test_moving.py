"""Renaming and moving nodes."""

import numpy as np
import pytest
from tests.core.nodes.growing import below, grow

from lotdb import BaseNode, InvalidMoveError, NodeExistsError


def test_rename_keeps_all_that_the_node_holds(root):
    node = root.get_data_node("a")
    node.write_data(np.arange(5))
    node.get_node_path("x/y").set_attribute("n", 1)
    node.rename("b")
    assert list(root) == ["b"]
    assert root["b"].read_data().tolist() == [0, 1, 2, 3, 4]
    assert root["b/x/y"].get_attribute("n") == 1


def test_assigning_to_key_renames(root):
    root.get_node("a").key = "b"
    assert list(root) == ["b"]


def test_renaming_to_the_same_key_changes_nothing(root):
    node = root.get_node("a")
    node.rename("a")
    assert list(root) == ["a"]


def test_rename_refuses_the_key_of_a_sibling(root):
    grow(root, "a/inner", "b")
    with pytest.raises(NodeExistsError, match="'b' already"):
        root["a"].rename("b")
    assert below(root) == ["a", "a/inner", "b"]


def test_the_old_key_of_a_renamed_node_is_free(root):
    root.get_node("a").set_attribute("x", 1)
    root["a"].rename("b")
    root.get_node("a").set_attribute("x", 2)
    assert (root["a"].attrs["x"], root["b"].attrs["x"]) == (2, 1)


def test_the_root_of_a_database_cannot_be_renamed(db):
    with pytest.raises(InvalidMoveError, match="the root of a database cannot be renamed"):
        db.open_connection().rename("top")


def test_the_root_of_a_tree_in_memory_can_be_renamed():
    root = BaseNode("a")
    inner = root.get_node("x")
    root.rename("b")
    assert root.key == "b"
    assert inner.parent == root
    assert list(root) == ["x"]


def test_move_takes_all_below_along(root):
    grow(root, "a/x/y", "b")
    node = root["a/x"]
    node.move(root["b"])
    assert below(root) == ["a", "b", "b/x", "b/x/y"]
    assert node.path == "b/x"


def test_move_may_give_another_key(root):
    grow(root, "a/x", "b")
    root["a/x"].move(root["b"], "z")
    assert below(root) == ["a", "b", "b/z"]


def test_a_node_cannot_be_moved_below_itself(root):
    grow(root, "a/b/c")
    for target in ("a", "a/b", "a/b/c"):
        with pytest.raises(InvalidMoveError, match="below itself"):
            root["a"].move(root[target], "z")
    assert below(root) == ["a", "a/b", "a/b/c"]


def test_the_root_cannot_be_moved(root):
    grow(root, "a")
    with pytest.raises(InvalidMoveError, match="root"):
        root.move(root["a"], "z")


def test_a_node_may_be_moved_next_to_one_whose_key_it_begins_with(root):
    grow(root, "ab", "abc")
    root["ab"].move(root["abc"])
    assert below(root) == ["abc", "abc/ab"]
