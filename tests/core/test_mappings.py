"""A node is a mapping of its children, and ``payloads`` one of what it holds; both show what is there."""

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    BaseNode,
    DataNode,
    DataWriter,
    InvalidKeyError,
    NodeNotFoundError,
    PayloadNotFoundError,
    StaleNodeError,
    WrongNodeError,
)

# -- children ------------------------------------------------------------------------------------------------


def test_a_node_lists_its_children_as_a_mapping_does(root):
    for key in ("b", "a", "c"):
        root.get_node(key).attrs["key"] = key
    assert list(root.keys()) == ["a", "b", "c"]
    assert [node.attrs["key"] for node in root.values()] == ["a", "b", "c"]
    assert [(key, node.attrs["key"]) for key, node in root.items()] == [("a", "a"), ("b", "b"), ("c", "c")]
    assert [len(view) for view in (root.keys(), root.values(), root.items())] == [3, 3, 3]
    assert dict(root) == {key: root[key] for key in "abc"}


def test_views_show_what_is_there_when_they_are_used(root):
    keys, values, items = root.keys(), root.values(), root.items()
    assert (list(keys), list(values), list(items)) == ([], [], [])
    node = root.get_node("a")
    assert (list(keys), list(values), list(items)) == (["a"], [node], [("a", node)])
    root.delete_node("a")
    assert (len(keys), len(values), len(items)) == (0, 0, 0)


def test_views_contain_what_is_there(root):
    a, deep = root.get_node("a"), root.get_node_path("a/deep")
    other = BaseNode("root")
    assert "a" in root.keys()  # noqa: SIM118
    assert "b" not in root.keys()  # noqa: SIM118
    assert a in root.values()
    assert ("a", a) in root.items()
    assert ("b", a) not in root.items()
    for stranger in (deep, root, other, other.get_node("a"), "a", None):
        assert stranger not in root.values()
    root.delete_node("a")
    assert a not in root.values()


@pytest.mark.parametrize("strange", ["a/deep", "", "/", "..", (), ("a",), None, 5, b"a", "e\u0301", [1]])
def test_views_contain_no_paths_and_nothing_that_is_no_key(root, strange):
    root.get_node_path("a/deep").attrs["n"] = 1
    root.get_node("\u00e9")
    root.get_node("5")
    for keys in (root.keys(), root["a/deep"].attrs.keys(), root["a/deep"].payloads.keys()):
        assert strange not in keys
        assert keys.isdisjoint([strange])
        assert keys & [strange] == set()
        if not isinstance(strange, list):
            assert {strange} - keys == {strange}
            assert not keys >= {strange}
    for items in (root.items(), root["a/deep"].attrs.items(), root["a/deep"].payloads.items()):
        assert (strange, 1) not in items
        assert strange not in items
    assert ("n", 1) in root["a/deep"].attrs.items()


def test_keys_compare_and_combine_as_sets_do(root):
    for key in "abc":
        root.get_node(key)
    assert root.keys() == {"a", "b", "c"}
    assert root.keys() & {"a", "x"} == {"a"}
    assert root.keys() - root["a"].keys() == {"a", "b", "c"}


def test_children_may_be_deleted_while_a_view_is_walked(root):
    for number in range(600):
        root.get_node(number)
    for node in root.values():
        node.delete_tree()
    assert len(root.items()) == 0


def test_get_gives_a_node_or_the_default_and_makes_nothing(root):
    node = root.get_node_path("a/b")
    assert root.get("a/b") == root.get(("a", "b")) == node
    assert root.get("a/x") is None
    assert root.get("x/b", 7) == 7
    assert list(root) == ["a"]
    with pytest.raises(InvalidKeyError):
        root.get("a//b")


def test_a_node_that_is_gone_has_no_children_to_list(root):
    node = root.get_node("a")
    root.delete_node("a")
    with pytest.raises(StaleNodeError):
        len(node.keys())
    with pytest.raises(StaleNodeError):
        node.get("b")


def test_values_are_of_the_types_of_their_nodes(root):
    root.get_data_node("a").write_data([1.0])
    [(key, node)] = root.items()
    assert (key, type(node)) == ("a", DataNode)
    assert node.read_data().tolist() == [1.0]


# -- payloads ------------------------------------------------------------------------------------------------


def test_payloads_are_a_mapping_by_name(root):
    node = root.get_data_node("node")
    node.attrs["label"] = "x"
    node.write_data(np.arange(3))
    node.write_data("text", data_attribute="note")
    assert list(node.payloads) == ["data", "note"]
    assert len(node.payloads) == 2
    assert node.payloads["note"].read() == "text"
    assert [payload.kind for payload in node.payloads.values()] == ["array", "text"]
    assert "label" not in node.payloads
    assert node.payloads.get("absent") is None
    assert repr(node.payloads).endswith(": 'data', 'note'>")


@pytest.mark.parametrize("name", ["absent", "label"])
def test_what_is_no_payload_is_not_found(root, name):
    root.attrs["label"] = 1
    DataWriter.write_array(root, [1.0], data_attribute="there")
    with pytest.raises(PayloadNotFoundError, match=f"no payload '{name}' .there: 'there'"):
        root.payloads[name]
    with pytest.raises(InvalidKeyError):
        root.payloads[""]


def test_payloads_show_what_is_there_when_they_are_used(root):
    node = root.get_data_node("node")
    there = node.payloads
    assert (list(there), len(there)) == ([], 0)
    node.write_data([1.0])
    assert (list(there), len(there)) == (["data"], 1)
    node.write_data([1.0, 2.0])
    assert there["data"].shape == (2,)
    node.delete_data()
    assert list(there) == []
    root.delete_node("node")
    with pytest.raises(StaleNodeError):
        len(there)


def test_payloads_cannot_be_set(root):
    node = root.get_data_node("node")
    with pytest.raises(TypeError):
        node.payloads["x"] = [1.0]
    with pytest.raises(AttributeError):
        node.payloads = {}


@pytest.mark.parametrize("data", [[], np.zeros((0, 3)), np.float64(1), "", b"", [1.0]])
def test_a_payload_is_true_whatever_it_holds(root, data):
    assert bool(root.get_data_node("node").write_data(data)) is True


# -- the rest ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["write_data", "append_data", "replace_data"])
def test_a_text_in_place_of_the_database_is_not_dropped(root, method):
    node = root.get_data_node("node")
    with pytest.raises(WrongNodeError, match=r"'name' is not the database of .* data_attribute="):
        getattr(node, method)([1.0], "name")
    assert list(node.payloads) == []


def test_a_database_says_whether_it_is_closed(tmp_path):
    db = LOTDB(tmp_path / "db")
    assert db.closed is False
    db.close()
    assert db.closed is True
    with pytest.raises(AttributeError):
        db.closed = False


def test_a_node_that_is_not_there_is_a_key_error(root):
    with pytest.raises(KeyError):
        root["absent"]
    with pytest.raises(NodeNotFoundError):
        root["absent"]
