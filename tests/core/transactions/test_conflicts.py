"""Which changes of two transactions merge, and which conflict."""

import contextlib
import logging
import math

import numpy as np
import pytest
from tests.core.transactions.two_connections import LARGE, NEW, OLD, begin, commit_both, conflict, fill, value

from lotdb import LOTDB, BaseNode, ConflictError


def test_two_changes_of_one_attribute_are_in_conflict(db, mine, theirs):
    fill(db, "a")
    begin(db)
    mine["a"].set_attribute("value", 1)
    theirs["a"].set_attribute("value", 2)
    with conflict():
        commit_both(db)
    assert value(db, "a") == 2


def test_two_writes_of_one_payload_are_in_conflict(db, mine, theirs, backend):
    mine.get_data_node("a", backend=backend).write_data(OLD)
    db.commit("mine")
    begin(db)
    mine["a"].append_data(NEW)
    theirs["a"].append_data(LARGE)
    with conflict():
        commit_both(db)
    with db.connection() as root:
        np.testing.assert_array_equal(root["a"].read_data(), np.concatenate([OLD, LARGE]))


def attributes_of(*paths):
    return lambda root: [root.get_node_path(path).set_attribute("value", 1) for path in paths]


@pytest.mark.parametrize(
    ("change", "places"),
    [
        (attributes_of("c/d"), "node 'c/d'"),
        (lambda root: root.set_attribute("value", 1), "the root"),
        (lambda root: root["c"].get_node("new"), "node 'c/new'"),
        (lambda root: root["c/d"].move(root, "moved"), "node 'c/d', node 'moved'"),
        (lambda root: root.delete_node("c"), "node 'c'"),
        (attributes_of("a", "c", "c/d", "c/new", "z"), "node 'a', node 'c', node 'c/d' and 2 more"),
    ],
)
def test_a_conflict_names_what_this_transaction_has_changed(db, mine, theirs, change, places):
    fill(db, "a", "c/d")
    begin(db)
    change(mine)
    theirs.set_attribute("value", 2)
    theirs["c"].get_node("new").set_attribute("value", 2)
    theirs["c/d"].set_attribute("value", 2)
    db.commit("theirs")
    with pytest.raises(ConflictError, match=rf"first, where this one changed {places}; nothing of this one"):
        db.commit("mine")


def test_changes_of_attributes_of_different_nodes_merge(db, mine, theirs):
    fill(db, "a", "b", "c/d", "c/e")
    begin(db)
    mine["a"].set_attribute("value", 1)
    mine["c/d"].set_attribute("other", 1)
    theirs["b"].set_attribute("value", 2)
    theirs["c/e"].delete_attribute("value")
    commit_both(db)
    with db.connection() as root:
        assert dict(root["a"].attrs) == {"value": 1}
        assert dict(root["b"].attrs) == {"value": 2}
        assert dict(root["c/d"].attrs) == {"value": 0, "other": 1}
        assert dict(root["c/e"].attrs) == {}


@pytest.fixture
def quiet_merges(caplog):
    """A merge that fails is logged by ZODB; the conflict that follows says enough."""
    caplog.set_level(logging.CRITICAL, logger="ZODB.ConflictResolution")


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize(
    ("old", "new"), [(None, 1), (1, "text"), (0.0, None), (float("nan"), 1.0), (1, [1]), (1, {"a": 1})]
)
def test_changes_of_different_nodes_merge_whatever_the_type_was_before(db, mine, theirs, old, new):
    fill(db, "a", "b", value=old)
    begin(db)
    mine["a"].set_attribute("value", new)
    theirs["b"].set_attribute("value", new)
    commit_both(db)
    assert value(db, "a") == value(db, "b") == new


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize(
    "backend",
    [
        "blob",
        "npy",
    ],
)
def test_payloads_of_the_same_shape_replaced_on_different_nodes_merge(db, mine, theirs, backend):
    for name in "ab":
        mine.get_data_node(name, backend=backend).write_data(OLD)
    db.commit("mine")
    begin(db)
    mine["a"].replace_data(OLD + 1)
    theirs["b"].replace_data(OLD + 2)
    commit_both(db)
    with db.connection() as root:
        np.testing.assert_array_equal(root["a"].read_data(), OLD + 1)
        np.testing.assert_array_equal(root["b"].read_data(), OLD + 2)


def test_a_change_of_a_sign_of_zero_is_not_lost_in_a_merge(db, mine, theirs):
    fill(db, "a", "b", value=0.0)
    begin(db)
    mine["a"].set_attribute("value", -0.0)
    theirs["b"].set_attribute("value", 1.0)
    commit_both(db)
    assert math.copysign(1, value(db, "a")) == -1


@pytest.mark.usefixtures("quiet_merges")
def test_first_children_of_different_leaves_merge(db, mine, theirs):
    fill(db, "a", "b")
    begin(db)
    mine["a"].get_node("x")
    theirs["b"].get_node("y")
    commit_both(db)
    with db.connection() as root:
        assert (list(root["a"]), list(root["b"])) == (["x"], ["y"])


@pytest.mark.parametrize("count", [10, 5000], ids=["narrow", "wide"])
def test_different_children_that_are_added_to_one_parent_merge(db, mine, theirs, count):
    fill(db, *(f"a/{number:05}" for number in range(0, 10 * count, 10)))
    begin(db)
    mine["a"].get_node("00011").set_attribute("value", 1)
    theirs["a"].get_node(f"{10 * count - 25:05}").set_attribute("value", 2)
    commit_both(db)
    with db.connection() as root:
        assert len(root["a"]) == count + 2
        assert root["a/00011"].get_attribute("value") == 1
        assert root[f"a/{10 * count - 25:05}"].get_attribute("value") == 2


def test_one_child_that_both_add_is_in_conflict(db, mine, theirs):
    fill(db, "a")
    begin(db)
    mine["a"].get_node("x").set_attribute("value", 1)
    theirs["a"].get_node("x").set_attribute("value", 2)
    with conflict():
        commit_both(db)
    assert value(db, "a/x") == 2


def test_an_attribute_of_a_node_and_a_new_child_of_it_merge(db, mine, theirs):
    fill(db, "a/b")
    with db.connection() as root:
        root["a"].set_attribute("value", 0)
    begin(db)
    mine["a"].set_attribute("value", 1)
    theirs["a"].get_node("c")
    commit_both(db)
    with db.connection() as root:
        assert list(root["a"]) == ["b", "c"]
        assert root["a"].get_attribute("value") == 1


ABOVE = {
    "delete": lambda root: root["a"].delete_tree(),
    "delete only node": lambda root: root.delete_node("a", only_node=True),
    "rename": lambda root: root["a"].rename("z"),
    "move": lambda root: root["a"].move(root["other"]),
    "replace": lambda root: root.add_tree(BaseNode("a"), if_exists="replace"),
    "replace by another": lambda root: root.add_tree(root["other"], key="a", if_exists="replace"),
    "branch": lambda root: root["a"].branch("z"),
    "copy elsewhere": lambda root: root["other"].add_tree(root["a"], copy=True),
}
BELOW = {
    "attribute": lambda root: root["a/b/c/d"].set_attribute("value", 1),
    "attribute of a branch": lambda root: root["a/b"].set_attribute("value", 1),
    "own attribute": lambda root: root["a"].set_attribute("value", 1),
    "child of a leaf": lambda root: root["a/b/c/d"].get_node("e"),
    "child of a branch": lambda root: root["a/b"].get_node("e"),
    "own child": lambda root: root["a"].get_node("e"),
    "payload": lambda root: root.get_data_node("a/b/c/d").write_data(NEW),
    "append": lambda root: root["a/b/grown"].append_data(NEW),
    "large attribute": lambda root: root["a/b/large"].set_attribute("value", "y" * 2000),
    "delete": lambda root: root["a/b/c"].delete_tree(),
    "delete leaf": lambda root: root["a/b/c/d"].delete_tree(),
    "move away": lambda root: root["a/b/c"].move(root),
    "move in": lambda root: root["elsewhere"].move(root["a/b"]),
    "branch": lambda root: root["a/b/c"].branch("z"),
    "rename": lambda root: root["a/b/c"].rename("z"),
}


#: Each with each; those that are not slow hold all of them once at least.
PLACES = [
    pytest.param(above, below, marks=[] if (row + column) % 5 == 0 else pytest.mark.slow)
    for row, above in enumerate(ABOVE)
    for column, below in enumerate(BELOW)
]


def read_all(root):
    found = {}
    for level in range(12):
        for node in root.iterate_tree_level(level):
            found[node.path] = {
                name: value.read().tobytes() if hasattr(value, "read") else value
                for name, value in node.attrs.items()
            }
    return found


def make_family(db):
    fill(db, "a/b/c/d", "other/leaf", "elsewhere/leaf")
    with db.connection() as root:
        grown = root.get_data_node("a/b/grown")
        for _ in range(3):
            grown.append_data(OLD)
        root.get_node_path("a/b/large").set_attribute("value", "x" * 2000)


@pytest.mark.sampled
@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize(("above", "below"), PLACES)
def test_a_write_below_is_in_conflict_with_a_change_of_place_that_was_committed_first(
    db, mine, theirs, above, below
):
    make_family(db)
    begin(db)
    ABOVE[above](theirs)
    BELOW[below](mine)
    db.commit("theirs")
    with db.connection() as root:
        expected = read_all(root)
    with conflict():
        db.commit("mine")
    with db.connection() as root:
        assert read_all(root) == expected
    assert db.verify() == []


@pytest.mark.sampled
@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize(("above", "below"), PLACES)
def test_a_change_of_place_after_a_write_below_that_was_committed_first_comes_after_it(
    db, mine, theirs, tmp_path, above, below
):
    with LOTDB(tmp_path / "one after the other", durability="process") as serial:
        make_family(serial)
        serial.run(BELOW[below])
        serial.run(ABOVE[above])
        expected = serial.run(read_all)
    make_family(db)
    begin(db)
    BELOW[below](theirs)
    ABOVE[above](mine)
    db.commit("theirs")
    with contextlib.suppress(ConflictError):
        db.commit("mine")
        assert db.run(read_all) == expected
    assert db.verify() == []


@pytest.mark.usefixtures("quiet_merges")
def test_a_child_that_another_transaction_has_added_is_not_deleted_unseen(db, mine, theirs):
    fill(db, "a/b")
    begin(db)
    theirs["a"].get_node("unseen")
    del mine["a"]
    with conflict():
        commit_both(db)


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize("only_node", [False, True])
def test_a_child_that_was_added_is_not_deleted_unseen_by_one_who_changed_its_parent(
    db, mine, theirs, only_node
):
    fill(db, "a/b")
    begin(db)
    theirs["a"].get_node("unseen")
    mine["a"].set_attribute("value", 1)
    mine.delete_node("a", only_node=only_node)
    with conflict():
        commit_both(db)


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize("how", ["delete", "move", "copy", "from memory"])
def test_a_child_that_was_added_is_not_replaced_unseen(db, mine, theirs, how):
    fill(db, "a/b", "other/c")
    begin(db)
    theirs["a"].get_node("unseen")
    {
        "delete": lambda: mine.delete_node("a"),
        "move": lambda: mine.add_tree(mine["other"], key="a", if_exists="replace"),
        "copy": lambda: mine.add_tree(mine["other"], key="a", if_exists="replace", copy=True),
        "from memory": lambda: mine.add_tree(BaseNode("a"), if_exists="replace"),
    }[how]()
    with conflict():
        commit_both(db)


@pytest.mark.usefixtures("quiet_merges")
def test_a_child_that_was_added_to_a_node_that_was_once_wide_is_not_deleted_unseen(db, mine, theirs):
    fill(db, *(f"a/{number:03}" for number in range(300)))
    with db.connection() as root:
        for number in range(3, 300):
            del root[f"a/{number:03}"]
    begin(db)
    theirs["a"].get_node("unseen")
    del mine["a"]
    with conflict():
        commit_both(db)


@pytest.mark.usefixtures("quiet_merges")
def test_large_attributes_of_a_branch_are_not_deleted_unseen(db, mine, theirs):
    fill(db, "a/b")
    with db.connection() as root:
        root["a"].set_attribute("text", "before" * 200)
    begin(db)
    theirs["a"].set_attribute("text", "after" * 200)
    del mine["a"]
    with conflict():
        commit_both(db)


@pytest.mark.usefixtures("quiet_merges")
def test_a_child_that_was_added_to_a_node_that_is_branched_and_taken_out_is_not_lost(db, mine, theirs):
    fill(db, "a/b")
    begin(db)
    theirs["a"].get_node("unseen")
    mine["a"].branch("copy")
    mine.delete_node("a", only_node=True)
    with conflict():
        commit_both(db)


@pytest.mark.parametrize("meanwhile", ["delete", "branch"])
@pytest.mark.parametrize("undone", ["move", "delete and merge"])
def test_a_rollback_does_not_forget_what_a_write_before_it_depended_on(db, mine, theirs, undone, meanwhile):
    fill(db, "a/b/c", "place/d", "source/e")
    begin(db)
    mine["a/b"].get_node("new")
    savepoint = db.savepoint("mine")
    if undone == "move":
        mine["a"].move(mine["place"])
        db.savepoint("mine")
    else:
        mine.delete_node("a")
        mine["place"].merge_tree(mine["source"])
    savepoint.rollback()
    theirs.delete_node("a") if meanwhile == "delete" else theirs["a"].branch("copy")
    with conflict():
        commit_both(db)
    assert "copy/b/new" not in theirs


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize("theirs_do", ["set", "create", "set above"])
def test_a_write_beside_a_branch_and_a_write_to_its_source_is_not_lost(db, mine, theirs, theirs_do):
    fill(db, "a/b", "a/e")
    begin(db)
    mine["a"].branch("copy")
    mine["a/b"].set_attribute("value", 1)
    {
        "set": lambda: theirs["a/e"].set_attribute("value", 2),
        "create": lambda: theirs["a"].get_node("new"),
        "set above": lambda: theirs["a"].set_attribute("value", 2),
    }[theirs_do]()
    db.commit("theirs")
    expected = db.run(lambda root: read_all(root["a"]))
    with contextlib.suppress(ConflictError):
        db.commit("mine")
        expected["a/b"] = {"value": 1}
    assert db.run(lambda root: read_all(root["a"])) == expected


def test_a_write_is_in_conflict_also_when_the_records_above_it_had_left_the_cache(db, mine, theirs):
    make_family(db)
    begin(db)
    node = mine["a/b/c/d"]
    assert node.get_attribute("value") == 0
    # As a walk through a large tree does.
    mine._tree._session.connection.cacheMinimize()
    node.set_attribute("value", 1)
    del theirs["a"]
    with conflict():
        commit_both(db)


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize("leaf", ["plain", "large"])
@pytest.mark.parametrize("first", ["delete", "add"])
def test_deleting_a_leaf_and_adding_a_child_to_it_are_in_conflict(db, mine, theirs, leaf, first):
    fill(db, "a", "b", value="x" * 2000 if leaf == "large" else 0)
    begin(db)
    roots = (theirs, mine) if first == "delete" else (mine, theirs)
    del roots[0]["a"]
    roots[1]["a"].get_node("child")
    with conflict():
        commit_both(db)
    with db.connection() as root:
        assert list(root) == (["b"] if first == "delete" else ["a", "b"])
        assert first == "delete" or list(root["a"]) == ["child"]


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize("first", ["delete", "set"])
@pytest.mark.parametrize("leaf", ["plain", "large"])
def test_deleting_a_leaf_and_setting_its_attribute_are_in_conflict(db, mine, theirs, leaf, first):
    fill(db, "a", "b", value="x" * 2000 if leaf == "large" else 0)
    begin(db)
    roots = (theirs, mine) if first == "delete" else (mine, theirs)
    del roots[0]["a"]
    roots[1]["a"].set_attribute("value", "y" * 2000 if leaf == "large" else 1)
    with conflict():
        commit_both(db)


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize("paths", [("a", "b"), ("a/x", "b/y"), ("a/x/y", "b")], ids=" ".join)
@pytest.mark.parametrize("first", ["mine", "theirs"])
def test_two_moves_that_would_make_a_circle_are_in_conflict(db, mine, theirs, paths, first):
    fill(db, *paths)
    begin(db)
    mine["a"].move(mine[paths[1]])
    theirs["b"].move(theirs[paths[0]])
    db.commit(first)
    with conflict():
        db.commit("theirs" if first == "mine" else "mine")
    with db.connection() as root:
        assert len(read_all(root)) == 1 + len({part for path in paths for part in parents(path)})
    assert db.verify() == []


def parents(path):
    keys = path.split("/")
    return ["/".join(keys[: depth + 1]) for depth in range(len(keys))]


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize("first", ["mine", "theirs"])
def test_two_moves_of_one_node_are_in_conflict(db, mine, theirs, first):
    fill(db, "a/b/c", "x/1", "y/1")
    begin(db)
    mine["a/b"].move(mine["x"])
    theirs["a/b"].move(theirs["y"])
    db.commit(first)
    with conflict():
        db.commit("theirs" if first == "mine" else "mine")
    with db.connection() as root:
        assert [path for path in read_all(root) if path.endswith("b")] == [
            "x/b" if first == "mine" else "y/b"
        ]


def deepest(node):
    return next(node.iterate_tree_level("deepest"))


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize("source", ["leaf", "large", "a", "a/b"])
@pytest.mark.parametrize("first", ["copy", "write"])
def test_a_copy_does_not_change_after_its_commit_whatever_is_written_to_its_source(
    db, mine, theirs, source, first
):
    fill(db, "leaf", "a/b/c/d")
    fill(db, "large", value="x" * 2000)
    begin(db)
    mine.add_tree(mine[source], key="copy", copy=True)
    deepest(theirs[source]).set_attribute("value", "y" * 2000 if source == "large" else 5)
    with contextlib.suppress(ConflictError):
        if first == "copy":
            db.commit("mine")
            copied = db.run(lambda root: read_all(root["copy"]))
            db.commit("theirs")
        else:
            db.commit("theirs")
            db.commit("mine")
            copied = db.run(lambda root: read_all(root["copy"]))
    if first == "write" and not db.run(lambda root: "copy" in root):
        db.run(lambda root: root.add_tree(root[source], key="copy", copy=True))
        copied = db.run(lambda root: read_all(root["copy"]))
    assert db.run(lambda root: read_all(root["copy"])) == copied
    with db.connection() as root:
        root[source].set_attribute("later", 1)
        deepest(root[source]).set_attribute("value", 6)
    assert db.run(lambda root: read_all(root["copy"])) == copied


@pytest.mark.usefixtures("quiet_merges")
def test_writes_to_both_sides_of_a_copy_in_two_transactions_stay_apart(db, mine, theirs):
    fill(db, "a/b/c/d")
    with db.connection() as root:
        root["a"].branch("copy")
    begin(db)
    mine["a/b/c/d"].set_attribute("value", 1)
    theirs["copy/b/c/d"].set_attribute("value", 2)
    with contextlib.suppress(ConflictError):
        commit_both(db)
        assert value(db, "a/b/c/d") == 1
    assert value(db, "copy/b/c/d") == 2
    mine["a/b/c/d"].set_attribute("value", 3)
    db.commit("mine")
    assert (value(db, "a/b/c/d"), value(db, "copy/b/c/d")) == (3, 2)
