"""Deleting nodes, with what is below them or without."""

import pytest
from tests.core.nodes.growing import below, grow

from lotdb import InvalidMoveError, NodeExistsError, NodeNotFoundError


def test_delete_node_takes_all_below_it(root):
    grow(root, "a/b/c", "d")
    root.delete_node("a")
    assert below(root) == ["d"]


def test_delete_node_of_a_missing_one_says_what_is_there(root):
    grow(root, "a")
    with pytest.raises(NodeNotFoundError, match=r"'b'.*children are 'a'"):
        root.delete_node("b")


def test_delete_only_node_lifts_its_children(root):
    grow(root, "a/b/c", "a/d")
    root.delete_node("a", only_node=True)
    assert below(root) == ["b", "b/c", "d"]


def test_delete_only_node_keeps_a_grandchild_of_the_same_name(root):
    grow(root, "a/a/deep", "a/b")
    root.delete_node("a", only_node=True)
    assert below(root) == ["a", "a/deep", "b"]
    assert root["a/deep"].get_attribute("path") == "a/a/deep"


def test_delete_only_node_refuses_a_clash_and_changes_nothing(root):
    grow(root, "a/b/inner", "b")
    with pytest.raises(NodeExistsError, match="would clash"):
        root.delete_node("a", only_node=True)
    assert below(root) == ["a", "a/b", "a/b/inner", "b"]


def test_delete_only_node_in_a_branch_leaves_the_original(root):
    grow(root, "a/x/y/z")
    branch = root["a"].branch("b")
    branch.delete_node("x", only_node=True)
    branch["y/z"].set_attribute("path", "changed")
    assert below(root["a"]) == ["x", "x/y", "x/y/z"]
    assert root["a/x/y/z"].get_attribute("path") == "a/x/y/z"
    assert below(branch) == ["y", "y/z"]


def test_delete_tree_removes_the_node_itself(root):
    grow(root, "a/b/c")
    root["a/b"].delete_tree()
    assert below(root) == ["a"]


def test_delete_tree_with_only_node_lifts_the_children(root):
    grow(root, "a/b/c")
    root["a"].delete_tree(only_node=True)
    assert below(root) == ["b", "b/c"]


def test_delete_tree_of_the_root_empties_it(root):
    grow(root, "a/b", "c")
    root.set_attribute("x", 1)
    root.delete_tree()
    assert below(root) == []
    assert dict(root.attrs) == {}


def test_delete_only_node_of_the_root_is_refused(root):
    grow(root, "a")
    with pytest.raises(InvalidMoveError, match="root"):
        root.delete_tree(only_node=True)
    assert list(root) == ["a"]
