"""Handles: which are equal, and what becomes of them when nodes move, go or come back."""

import pytest
from tests.core.nodes.growing import grow

from lotdb import BaseNode, StaleNodeError


def test_handles_of_one_place_are_equal_and_hash_alike(root):
    grow(root, "a/b")
    assert root["a/b"] == root["a"]["b"]
    assert root["a/b"] is not root["a"]["b"]
    assert len({root["a/b"], root["a"]["b"], root["a"]}) == 2


def test_handles_of_different_places_are_not_equal(root):
    grow(root, "a", "b")
    assert root["a"] != root["b"]
    assert root["a"] != root


def test_the_same_path_in_two_trees_is_not_the_same_place():
    one, two = BaseNode("x"), BaseNode("x")
    assert one != two
    assert one.get_node("a") != two.get_node("a")


@pytest.mark.parametrize("other", [None, "a", 1, object()])
def test_a_handle_is_unequal_to_what_is_no_node(root, other):
    assert root.get_node("a") != other


def test_a_handle_sees_what_another_handle_writes(root):
    one, two = root.get_node("a"), root["a"]
    one.set_attribute("x", 1)
    assert two.get_attribute("x") == 1
    two.get_node("child")
    assert "child" in one


def test_a_renamed_handle_stands_for_the_new_place(root):
    node = root.get_node("a")
    node.rename("b")
    assert node.path == "b"
    assert node == root["b"]


def test_handles_below_a_renamed_one_follow_it(root):
    node = root.get_node("a")
    inner = node.get_node_path("x/y")
    node.rename("b")
    assert inner.path == "b/x/y"
    assert inner == root["b/x/y"]


@pytest.mark.parametrize(
    "change_place",
    [lambda node: node.rename("b"), lambda node: node.move(node.parent.get_node("below"))],
    ids=["renamed", "moved"],
)
def test_a_path_through_a_moved_handle_leads_there_no_longer(root, change_place):
    root.get_node_path("a/x").set_attribute("v", "moved")
    between = root["a/x"].parent  # which the node above remembers, for the next path
    change_place(between)
    assert between["x"].get_attribute("v") == "moved"
    assert root.get("a/x") is None
    root.get_node_path("a/x").set_attribute("v", "new")
    assert between["x"].get_attribute("v") == "moved"
    assert root["a/x"].get_attribute("v") == "new"


def test_another_handle_of_a_renamed_node_says_that_it_is_gone(root):
    other, node = root.get_node("a"), root["a"]
    node.rename("b")
    with pytest.raises(StaleNodeError, match="node 'a' is gone"):
        other.get_attribute("x")


def test_a_handle_of_a_deleted_node_says_that_it_is_gone(root):
    node = root.get_node_path("a/b")
    root.delete_node("a")
    with pytest.raises(StaleNodeError, match="node 'a/b' is gone"):
        node.set_attribute("x", 1)
    assert "gone" in repr(node)
    assert len(root) == 0


def test_a_handle_of_a_deleted_node_stands_for_its_place_when_that_is_made_anew(root):
    node = root.get_node_path("a/b")
    root.delete_node("a")
    root.get_node_path("a/b").set_attribute("x", 2)
    assert node.get_attribute("x") == 2


@pytest.mark.parametrize("use", [list, len, repr])
def test_looking_at_a_deleted_node_never_shows_an_empty_one(root, use):
    node = root.get_node("a")
    root.delete_node("a")
    if use is repr:
        assert repr(node).endswith(", gone>")
        return
    with pytest.raises(StaleNodeError):
        use(node)


def test_a_node_made_in_an_aborted_transaction_is_gone(db):
    root = db.open_connection()
    node = root.get_node("a")
    db.abort()
    with pytest.raises(StaleNodeError):
        node.get_attribute("x")


def test_a_handle_is_right_after_an_abort(db):
    root = db.open_connection()
    node = root.get_node_path("a/b")
    node.set_attribute("x", 1)
    db.commit()
    node.set_attribute("x", 2)
    node.get_node("child")
    db.abort()
    assert node.get_attribute("x") == 1
    assert len(node) == 0


def test_a_deleted_node_is_back_after_an_abort(db):
    root = db.open_connection()
    node = root.get_node_path("a/b")
    db.commit()
    root.delete_node("a")
    db.abort()
    assert node.path == "a/b"
    assert len(node) == 0


@pytest.mark.parametrize("change", ["rename", "move"])
def test_a_moved_handle_is_back_at_its_place_after_an_abort(db, change):
    root = db.open_connection()
    node = root.get_node_path("a/b")
    node.set_attribute("x", 1)
    root.get_node("c")
    db.commit()
    node.rename("z") if change == "rename" else node.move(root["c"])
    db.abort()
    assert node.path == "a/b"
    assert node.get_attribute("x") == 1


def test_a_handle_of_an_added_tree_is_back_in_its_own_tree_after_an_abort(db):
    root = db.open_connection()
    tree = BaseNode("t")
    inner = tree.get_node("x")
    root.add_tree(tree)
    assert inner.path == "t/x"
    db.abort()
    assert tree.path == ""
    assert inner.path == "x"
    assert list(root) == []
    assert list(tree) == ["x"]
