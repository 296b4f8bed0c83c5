"""Finding and making nodes: by key, by path, by index and one after the other."""

import numpy as np
import pytest
from tests.core.nodes.growing import below, grow

from lotdb import BaseNode, InvalidKeyError, NodeNotFoundError


@pytest.mark.parametrize("key", [np.str_("7"), type("Text", (str,), {})("7"), 7, np.int64(7), "7"])
def test_a_child_is_found_by_any_spelling_of_its_key(key):
    root = BaseNode("root")
    child = root.get_node("7")
    child.set_attribute("label", "kept")
    root.get_node_path("7/below")
    for found in (
        root.get_node(key),
        root.get_node_path([key]),
        root[[key]],
        root.get_node_path([key, "below"]),
    ):
        assert found in (child, child["below"])
    assert root.get_node(key, create=False).get_attribute("label") == "kept"
    assert list(root) == ["7"]
    decomposed = root.get_node("cafe\u0301")
    assert root.get_node("caf\u00e9") == root["cafe\u0301"] == decomposed
    assert len(root) == 2


def test_get_node_makes_a_missing_child(root):
    assert root.get_node("a").path == "a"
    assert list(root) == ["a"]


def test_get_node_finds_the_child_that_is_there(root):
    root.get_node("a").set_attribute("x", 1)
    assert root.get_node("a").get_attribute("x") == 1


def test_get_node_takes_an_integer_as_its_decimal_text(root):
    assert root.get_node(7) == root.get_node("7")


def test_get_node_without_create_says_what_is_there(root):
    grow(root, "a", "b")
    with pytest.raises(NodeNotFoundError, match=r"no node 'c' below .*; its children are 'a', 'b'"):
        root.get_node("c", create=False)
    assert list(root) == ["a", "b"]


def test_the_message_about_a_missing_node_names_at_most_five_others(root):
    grow(root, *"abcdefgh")
    with pytest.raises(NodeNotFoundError, match=r"'e', …$"):
        root.get_node("x", create=False)


@pytest.mark.parametrize("path", [["a", "b", "c"], ("a", "b", "c"), "a/b/c", iter("abc")])
def test_get_node_path_makes_all_on_the_way(path):
    root = BaseNode()
    assert root.get_node_path(path).path == "a/b/c"
    assert below(root) == ["a", "a/b", "a/b/c"]


def test_get_node_path_of_no_keys_is_the_node_itself(root):
    assert root.get_node_path(()) == root


def test_get_node_path_without_create_names_the_step_that_is_missing(root):
    grow(root, "a/b")
    with pytest.raises(NodeNotFoundError, match="no node 'x' below 'a/b'"):
        root.get_node_path("a/b/x/y", create=False)
    assert below(root) == ["a", "a/b"]


def test_a_bad_key_late_in_a_path_makes_nothing(root):
    with pytest.raises(InvalidKeyError):
        root.get_node_path(["a", "b", ""])
    assert len(root) == 0


def test_indexing_takes_a_path_and_makes_nothing(root):
    grow(root, "a/b")
    assert root["a/b"] == root["a"]["b"] == root["a", "b"]
    with pytest.raises(NodeNotFoundError):
        root["a/c"]
    assert below(root) == ["a", "a/b"]


def test_indexing_raises_the_key_error_that_a_stranger_would_catch(root):
    with pytest.raises(KeyError):
        root["nowhere"]


def test_in_takes_a_path(root):
    grow(root, "a/b")
    assert "a" in root
    assert "a/b" in root
    assert ["a", "b"] in root
    assert "b" not in root
    assert "a/b/c" not in root
    assert "a/x/y/z" not in root


def test_len_counts_the_children_and_not_what_is_below(root):
    assert len(root) == 0
    grow(root, "a/b/c", "d")
    assert len(root) == 2
    assert len(root["a/b/c"]) == 0


def test_a_node_without_children_is_true(root):
    assert root
    assert root.get_node("a")


def test_iteration_gives_the_keys_of_the_children_in_order(root):
    grow(root, "b", "a", "c/x")
    assert list(root) == ["a", "b", "c"]


@pytest.mark.parametrize("count", [255, 256, 257, 600])
def test_iteration_meets_every_child_once(count):
    root = BaseNode()
    grow(root, *map(str, range(count)))
    assert list(root) == sorted(map(str, range(count)))


def test_del_removes_a_node_with_all_below_it(root):
    grow(root, "a/b/c", "a/d")
    del root["a/b"]
    assert below(root) == ["a", "a/d"]


def test_del_of_a_missing_node_is_a_key_error(root):
    with pytest.raises(NodeNotFoundError):
        del root["a"]


def test_parent_is_the_node_above(root):
    grow(root, "a/b")
    assert root["a/b"].parent == root["a"]
    assert root["a"].parent == root
    assert root.parent is None


def test_path_leads_from_the_root_to_the_node(root):
    assert root.path == ""
    node = root.get_node_path(["a", "b"])
    assert node.path == "a/b"
    assert root[node.path] == node
