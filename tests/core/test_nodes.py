"""The tree: finding, naming, moving, copying, deleting and walking nodes, in memory and in a database."""

import ipaddress
from pathlib import Path

import numpy as np
import pytest

import lotdb
from lotdb import (
    LOTDB,
    AttributeNotFoundError,
    BaseNode,
    ClosedError,
    DataNode,
    InvalidKeyError,
    InvalidMoveError,
    InvalidOptionError,
    LotdbError,
    NodeExistsError,
    NodeNotFoundError,
    Payload,
    PayloadExistsError,
    PluginError,
    Plugins,
    StaleNodeError,
    Undecodable,
    UnsupportedValueError,
    ValueType,
    WrongNodeError,
    hookimpl,
)


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as database:
        yield database


@pytest.fixture(params=["memory", "database"])
def root(request):
    """The root of an empty tree, of either kind."""
    if request.param == "memory":
        return BaseNode(key="root")
    return request.getfixturevalue("db").open_connection()


def grow(root, *paths):
    for path in paths:
        root.get_node_path(path).set_attribute("path", path)


def keys(nodes):
    return [node.key for node in nodes]


def paths(nodes):
    return [node.path for node in nodes]


def below(node):
    """All paths below *node*, relative to it."""
    start = len(node.path) + 1 if node.path else 0
    found, stack = [], [node]
    while stack:
        for child in stack.pop().iterate_tree_level(1):
            found.append(child.path[start:])
            stack.append(child)
    return sorted(found)


def stored_bytes(folder: Path) -> int:
    """Bytes of all payload files."""
    return sum(path.stat().st_size for path in folder.rglob("*.blob"))


# -- finding --------------------------------------------------------------------------------------


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


# -- handles --------------------------------------------------------------------------------------


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


# -- attributes -----------------------------------------------------------------------------------


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


# -- renaming and moving --------------------------------------------------------------------------


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


# -- add_tree -------------------------------------------------------------------------------------


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


# -- merge_tree -----------------------------------------------------------------------------------


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


# -- copy_tree and branch -------------------------------------------------------------------------


def test_copy_tree_is_a_tree_of_its_own(root):
    grow(root, "a/b")
    copy = root["a"].copy_tree()
    assert copy.parent is None
    assert copy.key == "a"
    assert below(copy) == ["b"]
    copy["b"].set_attribute("path", "changed")
    copy.get_node("new")
    assert root["a/b"].get_attribute("path") == "a/b"
    assert below(root) == ["a", "a/b"]


def test_payloads_of_a_copied_tree_can_be_read(db):
    root = db.open_connection()
    root.get_data_node("a/x").write_data(np.arange(5))
    copy = root["a"].copy_tree()
    assert copy["x"].read_data().tolist() == [0, 1, 2, 3, 4]
    db.commit()
    assert copy["x"].read_data().tolist() == [0, 1, 2, 3, 4]


def test_payloads_of_a_copy_of_a_tree_in_memory_can_be_read():
    root = BaseNode()
    root.get_data_node("a/x").write_data(np.arange(5))
    copy = root["a"].copy_tree()
    assert copy["x"].read_data().tolist() == [0, 1, 2, 3, 4]


def test_payloads_of_a_copy_of_a_copy_can_be_read(db):
    root = db.open_connection()
    root.get_data_node("a/x").write_data(np.arange(5))
    first = root["a"].copy_tree()
    first.get_data_node("y").write_data(np.arange(3))
    second = first.copy_tree()
    assert second["x"].read_data().tolist() == [0, 1, 2, 3, 4]
    assert second["y"].read_data().tolist() == [0, 1, 2]


def test_payloads_can_be_written_to_a_copied_tree(db):
    root = db.open_connection()
    root.get_data_node("a/x").write_data(np.arange(5))
    copy = root["a"].copy_tree()
    copy["x"].append_data(np.arange(5, 7))
    assert copy["x"].read_data().tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert root["a/x"].read_data().tolist() == [0, 1, 2, 3, 4]


def test_a_copied_tree_can_be_added_to_another_database(db, tmp_path):
    root = db.open_connection()
    root.get_data_node("a/x").write_data(np.arange(5))
    with LOTDB(tmp_path / "other", durability="process") as other:
        with other.connection() as theirs:
            theirs.add_tree(root["a"].copy_tree())
        with other.connection() as theirs:
            assert theirs["a/x"].read_data().tolist() == [0, 1, 2, 3, 4]


def test_a_copied_tree_whose_connection_is_closed_says_so(db):
    with db.connection() as root:
        root.get_data_node("a").write_data(np.arange(5))
    with db.connection() as root:
        copy = root["a"].copy_tree()
    with pytest.raises(ClosedError, match="closed"):
        copy.read_data()


def test_a_branch_is_independent_both_ways(root):
    grow(root, "a/x/y")
    node = root["a"]
    branch = node.branch("b")
    branch["x/y"].set_attribute("path", "in the branch")
    branch.get_node_path("x/new")
    node["x"].delete_node("y")
    node["x"].set_attribute("path", "in the original")
    assert below(root) == ["a", "a/x", "b", "b/x", "b/x/new", "b/x/y"]
    assert root["b/x/y"].get_attribute("path") == "in the branch"
    assert root["b/x"].get_attribute("path") is None
    assert root["a/x"].get_attribute("path") == "in the original"


def test_old_handles_of_the_original_do_not_write_into_the_branch(root):
    grow(root, "a/x/y")
    deep = root["a/x/y"]
    deep.set_attribute("n", 1)
    branch = root["a"].branch("b")
    deep.set_attribute("n", 2)
    assert branch["x/y"].get_attribute("n") == 1
    assert root["a/x/y"].get_attribute("n") == 2


def test_a_branch_of_a_branch_is_independent(root):
    grow(root, "a/x/y")
    root["a"].branch("b").branch("c")
    root["b/x/y"].set_attribute("path", "b")
    root["c/x/y"].set_attribute("path", "c")
    found = [root[f"{key}/x/y"].get_attribute("path") for key in "abc"]
    assert found == ["a/x/y", "b", "c"]


def test_a_branch_of_a_leaf_with_large_attributes_is_independent(root):
    node = root.get_node("a")
    node.set_attribute("big", "x" * 2000)
    branch = node.branch("b")
    branch.set_attribute("big", "y" * 2000)
    assert node.get_attribute("big") == "x" * 2000
    node.set_attribute("big", "z" * 2000)
    assert branch.get_attribute("big") == "y" * 2000


def test_a_branch_shares_the_payloads_and_stores_no_new_bytes(db, tmp_path):
    root = db.open_connection()
    root.get_data_node("a/x").write_data(np.arange(300_000))
    db.commit()
    before = stored_bytes(tmp_path)
    assert before > 2_400_000
    branch = root["a"].branch("b")
    db.commit()
    assert stored_bytes(tmp_path) == before
    assert branch["x"].read_data(0, 3).tolist() == [0, 1, 2]


def test_replacing_a_payload_in_a_branch_leaves_the_original(root):
    root.get_data_node("a/x").write_data(np.arange(5))
    branch = root["a"].branch("b")
    branch["x"].replace_data(np.arange(2))
    assert root["a/x"].read_data().tolist() == [0, 1, 2, 3, 4]
    assert branch["x"].read_data().tolist() == [0, 1]


def test_appending_to_both_sides_of_a_branch_keeps_them_apart(root):
    node = root.get_data_node("a")
    node.write_data(np.arange(3))
    branch = node.branch("b")
    branch.append_data(np.array([10]))
    node.append_data(np.array([20, 21]))
    assert node.read_data().tolist() == [0, 1, 2, 20, 21]
    assert branch.read_data().tolist() == [0, 1, 2, 10]


def test_a_branch_is_independent_after_commit_and_reopening(tmp_path):
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        grow(root, "a/x/y")
        root["a"].branch("b")
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            root["b/x/y"].set_attribute("path", "changed")
        with db.connection() as root:
            root["a/x"].get_node("new")
        with db.connection() as root:
            assert root["a/x/y"].get_attribute("path") == "a/x/y"
            assert below(root["b"]) == ["x", "x/y"]


def test_branch_refuses_a_key_that_is_taken(root):
    grow(root, "a", "b")
    with pytest.raises(NodeExistsError, match="'b' already"):
        root["a"].branch("b")


def test_branch_refuses_the_nodes_own_key(root):
    grow(root, "a/x")
    with pytest.raises(NodeExistsError):
        root["a"].branch("a")
    assert list(root) == ["a"]


def test_branch_needs_a_key(root):
    grow(root, "a/x")
    with pytest.raises(LotdbError):
        root["a"].branch(None)


def test_the_root_cannot_be_branched(root):
    with pytest.raises(InvalidMoveError, match="the root has no siblings"):
        root.branch("b")


# -- deleting -------------------------------------------------------------------------------------


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


# -- walking --------------------------------------------------------------------------------------


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


# -- node types -----------------------------------------------------------------------------------


class Recording(BaseNode):
    __slots__ = ()
    node_type_name = "recording"

    def duration_s(self):
        return self.get_attribute("rows") / self.get_attribute("rate")


class Capture(DataNode):
    __slots__ = ()
    node_type_name = "capture"


class RecordingPlugin:
    @hookimpl
    def lotdb_get_node_type(self, name):
        return {"recording": Recording, "capture": Capture}.get(name)


@pytest.fixture
def plugins():
    plugins = Plugins()
    plugins.register(RecordingPlugin())
    return plugins


@pytest.fixture
def recordings(tmp_path, plugins):
    """A folder with a database that holds a node of a type of a plugin's."""
    with LOTDB(tmp_path / "typed", durability="process", plugins=plugins) as db, db.connection() as root:
        node = root.get_node("rec", node_type="recording")
        node.attrs.update(rows=100, rate=50)
        node.get_node("inner").set_attribute("x", 1)
    return tmp_path / "typed"


def test_a_node_of_a_plugins_type_has_its_methods(recordings, plugins):
    with LOTDB(recordings, durability="process", plugins=plugins) as db, db.connection() as root:
        assert type(root["rec"]) is Recording
        assert root["rec"].duration_s() == 2
        assert root["rec"].node_type == "recording"


def test_a_detached_node_of_a_plugins_type_keeps_it_in_the_database(tmp_path, plugins):
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db, db.connection() as root:
        root.add_tree(Recording("r", plugins=plugins))
        assert type(root["r"]) is Recording


def test_a_node_becomes_of_the_type_that_is_asked_for(plugins):
    root = BaseNode(plugins=plugins)
    root.get_node("a").set_attribute("x", 1)
    assert type(root.get_node("a", node_type="recording")) is Recording
    assert root["a"].get_attribute("x") == 1
    assert type(root.get_node_path("a/b", node_type="recording")) is Recording
    assert type(root["a/b"]) is Recording


def test_a_type_that_is_not_installed_opens_as_a_plain_node(recordings):
    with LOTDB(recordings, durability="process", plugins=Plugins()) as db, db.connection() as root:
        assert isinstance(root["rec"], BaseNode)
        assert not isinstance(root["rec"], Recording)
        assert root["rec"].node_type == "recording"
        assert root["rec"].get_attribute("rows") == 100
        assert root["rec/inner"].get_attribute("x") == 1


def test_an_attribute_of_a_type_that_is_not_installed_says_what_to_install(recordings):
    with LOTDB(recordings, durability="process", plugins=Plugins()) as db, db.connection() as root:
        with pytest.raises(
            lotdb.WrongNodeTypeError,
            match=r"no node type named 'recording'.*install the package that provides it",
        ):
            root["rec"].duration_s()
        assert not hasattr(root["rec"], "duration_s")


def test_a_node_of_a_type_that_is_not_installed_does_not_lose_it_to_another(recordings, plugins):
    with LOTDB(recordings, durability="process", plugins=Plugins()) as db, db.connection() as root:
        with pytest.raises(
            lotdb.MissingPluginError, match=r"node 'rec' cannot be taken for one of 'data'.*install"
        ):
            root.get_data_node("rec")
        with pytest.raises(lotdb.MissingPluginError, match="'recording'"):
            root.get_node("rec", node_type="data")
    with LOTDB(recordings, durability="process", plugins=plugins) as db, db.connection() as root:
        assert type(root["rec"]) is Recording


def test_a_node_of_a_type_that_is_not_installed_can_be_moved_copied_and_deleted(recordings, plugins):
    with LOTDB(recordings, durability="process", plugins=Plugins()) as db, db.connection() as root:
        root["rec"].branch("copy")
        root["rec"].move(root.get_node("moved"))
        root["copy"].branch("third")
        root.delete_node("copy")
        root.add_tree(root["third"].copy_tree(), key="fourth")
    with LOTDB(recordings, durability="process", plugins=plugins) as db, db.connection() as root:
        assert list(root) == ["fourth", "moved", "third"]
        assert type(root["moved/rec"]) is type(root["third"]) is type(root["fourth"]) is Recording
        assert root["third"].duration_s() == 2


def test_a_new_node_of_a_type_that_is_not_installed_is_refused_with_the_command():
    root = BaseNode(plugins=Plugins())
    message = r"no node type named 'recording'.*install the package that provides it"
    with pytest.raises(lotdb.MissingPluginError, match=message):
        root.get_node("a", node_type="recording")
    assert len(root) == 0


@pytest.mark.parametrize("name", ["write_data", "read_data", "get_data", "attach_file", "samplerate_hz"])
def test_a_plain_node_says_how_to_get_what_data_nodes_have(root, name):
    node = root.get_node("a")
    message = f"'a' is not a data node, so it has no '{name}'; get it with get_data_node"
    with pytest.raises(lotdb.WrongNodeTypeError, match=message):
        getattr(node, name)
    with pytest.raises(AttributeError, match="the root is not a data node"):
        getattr(root, name)
    assert not hasattr(node, name)
    assert not hasattr(BaseNode, name)
    assert hasattr(root.get_data_node("a"), name)


class Readable:
    samplerate_hz = 7

    def read_data(self):
        return "mixed in"


class Mixed(BaseNode, Readable):  # type: ignore[misc]
    node_type_name = "mixed"


def test_a_class_behind_the_node_may_have_what_data_nodes_have():
    assert (Mixed().read_data(), Mixed().samplerate_hz, Mixed.samplerate_hz) == ("mixed in", 7, 7)
    assert {"read_data", "samplerate_hz"} < set(dir(Mixed()))
    with pytest.raises(lotdb.WrongNodeTypeError):
        Mixed().write_data  # noqa: B018


def test_what_a_plain_node_does_not_have_is_not_listed(root):
    assert "get_data_node" in dir(root)
    assert not {"read_data", "write_data", "samplerate_hz"} & set(dir(root))
    assert {"read_data", "write_data", "samplerate_hz"} < set(dir(DataNode()))


@pytest.mark.parametrize(
    ("pairs", "count"), [((), 0), ([], 0), ({}, 0), (np.array([]), 0), (np.array([["a", "b"]]), 1)]
)
def test_attributes_are_set_from_pairs_of_any_kind(root, pairs, count):
    node = root.get_node("a")
    node.attrs.update(pairs)
    assert len(node.attrs) == count


@pytest.mark.parametrize("other", [5, "ab", [1], None])
def test_attributes_are_not_set_from_what_is_no_mapping(root, other):
    node = root.get_node("a")
    with pytest.raises(lotdb.InvalidOptionError, match="use a mapping"):
        node.attrs.update(other)
    assert len(node.attrs) == 0


def test_a_misspelt_attribute_of_a_plain_node_is_an_ordinary_attribute_error(root):
    with pytest.raises(AttributeError, match="'BaseNode' object has no attribute 'get_atribute'"):
        root.get_node("a").get_atribute  # noqa: B018


def test_get_data_node_turns_a_plain_node_into_one_and_keeps_what_it_holds(root):
    grow(root, "a/b")
    node = root.get_data_node("a", samplerate_hz=10)
    assert type(node) is DataNode
    assert type(root["a"]) is DataNode
    assert below(root) == ["a", "a/b"]


def test_get_data_node_keeps_a_type_that_is_a_data_node_already(plugins):
    root = BaseNode(plugins=plugins)
    root.get_node("a", node_type="capture")
    assert type(root.get_data_node("a")) is Capture


def test_a_node_type_that_fails_does_not_keep_others_out_of_reach():
    class Failing:
        @hookimpl
        def lotdb_get_node_type(self, name):
            raise RuntimeError("cannot")

    working, failing = Plugins(), Plugins()
    working.register(RecordingPlugin())
    failing.register(Failing())
    root = BaseNode(plugins=working)
    root.get_node("rec", node_type="recording")
    grow(root, "plain")
    root._tree.plugins = failing
    assert list(root) == ["plain", "rec"]
    assert root["plain"].get_attribute("path") == "plain"
    assert [node.key for node in root.iterate_tree_level(1)] == ["plain", "rec"]
    root.delete_node("rec")


def test_a_node_type_that_is_no_class_of_nodes_is_a_plugin_error():
    class Wrong:
        @hookimpl
        def lotdb_get_node_type(self, name):
            return dict if name == "wrong" else None

    plugins = Plugins()
    plugins.register(Wrong())
    root = BaseNode(plugins=plugins)
    with pytest.raises(PluginError, match="wrong"):
        root.get_node("a", node_type="wrong")
    assert len(root) == 0


# -- value types ----------------------------------------------------------------------------------


class AddressPlugin:
    @hookimpl
    def lotdb_get_value_types(self):
        return [
            ValueType("test.ipv4", ipaddress.IPv4Address, encode=int, decode=ipaddress.IPv4Address),
        ]


def test_values_of_a_plugins_type_come_back(tmp_path):
    address, plugins = ipaddress.IPv4Address("10.0.0.1"), Plugins()
    plugins.register(AddressPlugin())
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db:
        with db.connection() as root:
            root.attrs["hosts"] = [address]
        with db.connection() as root:
            assert root.attrs["hosts"] == [address]


def test_values_of_a_type_that_is_not_installed_are_undecodable_and_survive(tmp_path):
    address, plugins = ipaddress.IPv4Address("10.0.0.1"), Plugins()
    plugins.register(AddressPlugin())
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db, db.connection() as root:
        root.attrs["host"] = address
    with LOTDB(tmp_path, durability="process", plugins=Plugins()) as db, db.connection() as root:
        value = root.attrs["host"]
        assert isinstance(value, Undecodable)
        assert "test.ipv4" in repr(value)
        root.attrs["again"] = value
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db, db.connection() as root:
        assert root.attrs["again"] == root.attrs["host"] == address


def test_a_value_of_a_type_that_is_not_installed_is_refused_when_it_is_set():
    root = BaseNode(plugins=Plugins())
    with pytest.raises(UnsupportedValueError, match=r"'host' cannot hold ipaddress.IPv4Address"):
        root.attrs["host"] = ipaddress.IPv4Address("10.0.0.1")


# -- events ---------------------------------------------------------------------------------------


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
