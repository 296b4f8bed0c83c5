"""Attributes of nodes: read, set, edited and kept apart from payloads."""

import pytest

from lotdb import LOTDB, AttributeNotFoundError, Payload, PayloadExistsError, UnsupportedValueError


def test_attrs_is_a_mutable_mapping(root):
    root.attrs["a"] = 1
    root.attrs["b"] = [1, 2]
    assert dict(root.attrs) == {"a": 1, "b": [1, 2]}
    assert len(root.attrs) == 2
    assert "a" in root.attrs
    del root.attrs["a"]
    assert list(root.attrs) == ["b"]
    assert root.attrs.get("a", "default") == "default"
    assert root.attrs.pop("b") == [1, 2]
    assert root.attrs.setdefault("c", 5) == 5


def test_a_missing_attribute_is_a_key_error_that_says_what_is_there(root):
    root.set_attribute("label", "hello")
    with pytest.raises(AttributeNotFoundError, match=r"no attribute 'lable' \(there: 'label'\)"):
        root.attrs["lable"]
    with pytest.raises(KeyError):
        root.delete_attribute("lable")


def test_get_attribute_of_a_missing_one_gives_the_default(root):
    assert root.get_attribute("x") is None
    assert root.get_attribute("x", 3) == 3


def test_update_sets_all_or_nothing(root):
    root.set_attribute("a", 1)
    with pytest.raises(UnsupportedValueError, match="'c'"):
        root.attrs.update({"a": 2, "b": 3, "c": object()})
    assert dict(root.attrs) == {"a": 1}


def test_update_takes_pairs_and_keywords(root):
    root.attrs.update([("a", 1)], b=2)
    root.attrs.update({"b": 3}, c=4)
    assert dict(root.attrs) == {"a": 1, "b": 3, "c": 4}


def test_editing_what_was_read_changes_nothing_that_is_stored(root):
    root.set_attribute("config", {"gains": [1, 2]})
    root.get_attribute("config")["gains"].append(3)
    root.attrs["config"]["new"] = 1
    assert root.get_attribute("config") == {"gains": [1, 2]}


def test_editing_what_was_stored_changes_nothing_that_is_stored(root):
    config = {"gains": [1, 2]}
    root.set_attribute("config", config)
    config["gains"].append(3)
    assert root.get_attribute("config") == {"gains": [1, 2]}


def test_edit_attribute_stores_the_edit(root):
    root.set_attribute("config", {"a": 1})
    with root.edit_attribute("config") as config:
        config["a"] = 2
    assert root.get_attribute("config") == {"a": 2}


def test_edit_attribute_forgets_the_edit_after_an_exception(root):
    root.set_attribute("config", {"a": 1})
    with pytest.raises(ZeroDivisionError), root.edit_attribute("config") as config:
        config["a"] = 1 / 0
    assert root.get_attribute("config") == {"a": 1}


def test_edit_attribute_of_a_missing_one_says_so(root):
    with pytest.raises(AttributeNotFoundError), root.edit_attribute("config"):
        pass


def test_an_attribute_cannot_take_the_place_of_a_payload(root):
    node = root.get_data_node("a")
    node.write_data([1.0, 2.0], data_attribute="signal")
    with pytest.raises(PayloadExistsError, match="write_data replaces it, delete_data removes it"):
        node.set_attribute("signal", 1)
    assert node.read_data(data_attribute="signal").tolist() == [1, 2]


def test_a_payload_shows_among_the_attributes(root):
    node = root.get_data_node("a")
    node.write_data([1.0, 2.0])
    assert isinstance(node.attrs["data"], Payload)
    assert node.get_attribute("data").shape == (2,)


@pytest.mark.parametrize("size", [10, 1_000, 100_000])
def test_attributes_of_any_size_come_back_after_reopening(tmp_path, size):
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        root.get_node("leaf").attrs.update(big="x" * size, small=1)
        root.get_node_path("branch/child")
        root["branch"].attrs.update(big="y" * size, small=2)
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        assert root["leaf"].get_attribute("big") == "x" * size
        assert root["branch"].get_attribute("big") == "y" * size
        assert root["branch"].get_attribute("small") == 2
