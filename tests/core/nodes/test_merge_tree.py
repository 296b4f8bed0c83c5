"""merge_tree: adds what is missing, and takes the other's attributes if asked to."""

import numpy as np
import pytest
from tests.core.nodes.growing import below, grow

from lotdb import DataNode, InvalidMoveError


def test_merge_tree_adds_what_is_missing_and_keeps_what_is_there(root):
    grow(root, "a/x", "a/y", "b/y/deep", "b/z")
    root["b/y"].set_attribute("new", 1)
    root["a"].merge_tree(root["b"])
    assert below(root["a"]) == ["x", "y", "y/deep", "z"]
    assert root["a/y"].get_attribute("path") == "a/y"
    assert root["a/y"].get_attribute("new") == 1
    assert below(root["b"]) == ["y", "y/deep", "z"]


def test_merge_tree_takes_the_others_attributes_when_asked_to(root):
    grow(root, "a/y", "b/y")
    root["a"].merge_tree(root["b"], overwrite=True)
    assert root["a/y"].get_attribute("path") == "b/y"


def test_what_was_merged_is_independent(root):
    grow(root, "a", "b/y/deep")
    root["a"].merge_tree(root["b"])
    root["a/y/deep"].set_attribute("path", "changed")
    root["b/y"].get_node("more")
    assert root["b/y/deep"].get_attribute("path") == "b/y/deep"
    assert list(root["a/y"]) == ["deep"]


def test_merge_tree_brings_payloads_from_a_tree_in_memory(db):
    root = db.open_connection()
    root.get_data_node("a").write_data(np.arange(3))
    other = DataNode("a")
    other.write_data(np.arange(9))
    other.write_data(np.arange(4), data_attribute="more")
    root["a"].merge_tree(other)
    assert root["a"].read_data().tolist() == [0, 1, 2]
    assert root["a"].read_data(data_attribute="more").tolist() == [0, 1, 2, 3]


def test_merging_a_node_with_itself_changes_nothing(root):
    grow(root, "a/b")
    root["a"].merge_tree(root["a"])
    assert below(root) == ["a", "a/b"]


def test_merging_a_node_with_one_above_it_is_refused(root):
    grow(root, "a/b/c")
    for one, other in [("a", "a/b/c"), ("a/b/c", "a")]:
        with pytest.raises(InvalidMoveError, match="one is above the other"):
            root[one].merge_tree(root[other])
    with pytest.raises(InvalidMoveError):
        root.merge_tree(root["a"])
    assert below(root) == ["a", "a/b", "a/b/c"]
