"""Walking a tree: by levels and leaves, while it changes."""

import numpy as np
import pytest
from tests.core.nodes.growing import grow, paths

from lotdb import InvalidOptionError


def keys(nodes):
    return [node.key for node in nodes]


def test_levels_are_counted_from_the_node(root):
    grow(root, "a/b/c", "a/d", "e")
    assert paths(root.iterate_tree_level(0)) == [""]
    assert paths(root.iterate_tree_level(1)) == ["a", "e"]
    assert paths(root.iterate_tree_level(2)) == ["a/b", "a/d"]
    assert paths(root.iterate_tree_level(3)) == ["a/b/c"]
    assert paths(root.iterate_tree_level(4)) == []
    assert paths(root["a"].iterate_tree_level(1)) == ["a/b", "a/d"]


def test_the_deepest_level_is_the_default(root):
    grow(root, "a/b/c", "a/d", "e/f/g")
    assert paths(root.iterate_tree_level()) == ["a/b/c", "e/f/g"]
    assert paths(root.iterate_tree_level("deepest")) == ["a/b/c", "e/f/g"]
    assert paths(root["a/d"].iterate_tree_level("deepest")) == ["a/d"]


@pytest.mark.parametrize("level", [-1, "1", "Deepest", None, 1.0, True, [1]])
def test_a_level_that_is_none_is_refused_at_the_call(root, level):
    with pytest.raises(InvalidOptionError, match="level is"):
        root.iterate_tree_level(level)


def test_leaves_are_the_nodes_without_children(root):
    grow(root, "a/b/c", "a/d", "e")
    root.get_node_path("f/gone")
    root["f"].delete_node("gone")
    assert paths(root.iterate_tree_leaves()) == ["a/b/c", "a/d", "e", "f"]


def test_a_node_without_children_is_its_own_leaf(root):
    assert list(root.iterate_tree_leaves()) == [root]


def test_buffered_forms_give_lists(root):
    grow(root, *"abcde")
    assert [keys(batch) for batch in root.iterate_tree_crone_buffered(buffer_size=2)] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert [keys(batch) for batch in root.iterate_tree_level_buffered(3, 1)] == [["a", "b", "c"], ["d", "e"]]


@pytest.mark.parametrize("size", [0, -1, 1.5, "2", None, True])
def test_a_buffer_size_that_is_none_is_refused_at_the_call(root, size):
    with pytest.raises(InvalidOptionError, match="buffer_size is"):
        root.iterate_tree_crone_buffered(buffer_size=size)


def test_numpy_integers_are_levels_and_buffer_sizes(root):
    grow(root, *"abc")
    assert paths(root.iterate_tree_level(np.int64(1))) == ["a", "b", "c"]
    assert len(list(root.iterate_tree_crone_buffered(buffer_size=np.int64(2)))) == 2


def test_nodes_added_while_walking_do_not_disturb(root):
    grow(root, *(f"n{i:04}" for i in range(600)))
    met = []
    for node in root.iterate_tree_level(1):
        met.append(node.key)
        node.get_node("child")
        if len(met) == 300:
            root.get_node("a before")
    assert met == [f"n{i:04}" for i in range(600)]


def test_nodes_deleted_while_walking_are_passed_over(root):
    grow(root, *(f"n{i:04}" for i in range(600)))
    met = []
    for node in root.iterate_tree_leaves():
        met.append(node.key)
        if node.key == "n0100":
            for i in range(101, 500):
                root.delete_node(f"n{i:04}")
    assert met == [f"n{i:04}" for i in [*range(101), *range(500, 600)]]


def test_every_node_can_be_deleted_while_walking(root):
    grow(root, *(f"n{i:04}/x" for i in range(600)))
    for node in root.iterate_tree_level(1):
        node.delete_tree()
    assert len(root) == 0


def test_every_node_can_be_renamed_while_walking(root):
    grow(root, *(f"n{i:03}" for i in range(300)))
    for node in list(root.iterate_tree_level(1)):
        node.rename("m" + node.key)
    assert list(root) == [f"mn{i:03}" for i in range(300)]


def test_a_transaction_may_be_committed_while_walking(db):
    root = db.open_connection()
    grow(root, *(f"n{i:04}/x" for i in range(600)))
    db.commit()
    for number, node in enumerate(root.iterate_tree_leaves()):
        node.set_attribute("number", number)
        if number % 100 == 0:
            db.commit()
    db.commit()
    assert [node.get_attribute("number") for node in root.iterate_tree_leaves()] == list(range(600))
