"""What listeners are told of a commit: the net changes, by path, and nothing that was undone."""

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode, ClosedError, ConflictError, PayloadInfo, Plugins, hookimpl


class Listener:
    """Keeps what each commit changed, in short."""

    def __init__(self):
        self.commits = []
        self.changes = None

    @hookimpl
    def lotdb_committed(self, database, changes):
        self.changes = changes
        self.each = [short(change) for change in changes.each()]
        self.commits.append([short(change) for change in changes])

    def take(self):
        told, self.commits = self.commits, []
        return told


def short(change):
    parts = (change.kind, change.old_path, change.source, change.path, change.name)
    return tuple(part for part in parts if part is not None)


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def db(tmp_path, listener):
    plugins = Plugins()
    plugins.register(listener)
    with LOTDB(tmp_path / "db", durability="process", plugins=plugins) as db:
        yield db


@pytest.fixture
def told(db, listener):
    """A function that commits what a function does to the root, and gives what was told of it."""

    def told(function):
        listener.take()
        db.run(lambda root: function(root) and None)
        (changes,) = listener.take()
        return changes

    return told


@pytest.fixture
def grown(db, listener):
    def grow(root):
        root.get_node_path("a/b/c").attrs["x"] = 1
        root.get_data_node("a/d", samplerate_hz=10).write_data(np.arange(20.0))
        root.get_node("e")

    db.run(grow)
    listener.take()
    return db


# -- each kind of change --------------------------------------------------------------------------


def test_new_nodes_attributes_and_payloads(told):
    def create(root):
        root.get_node_path("a/b").attrs["x"] = 1
        root.get_data_node("a/c").write_data([1, 2])
        root.attrs["of the root"] = True

    assert told(create) == [
        ("attribute_set", "", "of the root"),
        ("created", "a"),
        ("created", "a/b"),
        ("attribute_set", "a/b", "x"),
        ("created", "a/c"),
        ("payload_written", "a/c", "data"),
    ]


def test_attributes_and_payloads_of_nodes_that_are_there(grown, told):
    def change(root):
        root["a/b/c"].attrs["x"] = 2
        root["a/b"].attrs["y"] = 1
        root["a/d"].append_data(np.arange(3.0))
        root["a/d"].write_data("text", data_attribute="note")

    assert told(change) == [
        ("attribute_set", "a/b", "y"),
        ("attribute_set", "a/b/c", "x"),
        ("payload_written", "a/d", "data"),
        ("payload_written", "a/d", "note"),
    ]


def test_what_is_removed(grown, told):
    def remove(root):
        del root["a/b/c"].attrs["x"]
        root["a/d"].delete_data()

    assert told(remove) == [("attribute_removed", "a/b/c", "x"), ("payload_removed", "a/d", "data")]


def test_an_attribute_that_becomes_a_payload(grown, told):
    def replace(root):
        del root["a/b/c"].attrs["x"]
        root.get_data_node("a/b/c").write_data([1], data_attribute="x")

    assert told(replace) == [
        ("retyped", "a/b/c"),
        ("attribute_removed", "a/b/c", "x"),
        ("payload_written", "a/b/c", "x"),
    ]


def test_values_are_those_of_the_commit(grown, listener):
    def change(root):
        root["e"].attrs["list"] = [1, (2, "x")]
        root["a/d"].append_data(np.arange(5.0), metadata={"unit": "g"})
        root.get_data_node("f")

    grown.run(change)
    changes = listener.changes
    grown.run(lambda root: root["e"].attrs.update(list="later"))
    values = {change.kind: change.value for change in changes}
    assert values["attribute_set"] == [1, (2, "x")]
    info = values["payload_written"]
    assert isinstance(info, PayloadInfo)
    assert (info.kind, info.shape, info.dtype, info.samplerate_hz) == ("array", (25,), np.dtype("f8"), 10)
    assert (info.backend, info.content_type, info.metadata) == ("blob", "application/x-npy", {"unit": "g"})
    assert values["created"] == "data"


def test_moves_tell_where_from_with_all_below(grown, told):
    assert told(lambda root: root["a"].rename("z")) == [("moved", "a", "z")]
    assert told(lambda root: root["z/b"].move(root["e"])) == [("moved", "z/b", "e/b")]


def test_a_leaf_is_told_as_moved_even_if_it_was_changed(grown, told):
    def move(root):
        root["a/b/c"].move(root, "y")
        root["y"].attrs["x"] = 5
        root["y"].get_node("child")

    assert told(move) == [("moved", "a/b/c", "y"), ("attribute_set", "y", "x"), ("created", "y/child")]


def test_nodes_that_change_places(grown, told):
    def swap(root):
        root["a"].rename("for a while")
        root["e"].rename("a")
        root["for a while"].rename("e")
        root["e/d"].attrs["n"] = 1

    assert told(swap) == [("moved", "e", "a"), ("moved", "a", "e"), ("attribute_set", "e/d", "n")]


def test_leaves_alike_that_change_places_are_told_apart(db, told):
    db.run(lambda root: (root.get_node("a"), root.get_node("b"))[:0])

    def turn(root):
        root["a"].rename("c")
        root["b"].rename("a")

    assert told(turn) == [("moved", "b", "a"), ("moved", "a", "c")]


def test_a_node_that_is_moved_twice_is_told_once(grown, told):
    def move(root):
        root["a/b"].move(root["e"])
        root["e"].rename("f")
        root["f/b"].rename("g")

    assert sorted(told(move)) == [("moved", "a/b", "f/g"), ("moved", "e", "f")]


def test_deleted_with_all_below(grown, told):
    assert told(lambda root: root.delete_node("a")) == [("deleted", "a")]


def test_what_is_moved_out_of_a_deleted_node_is_not_deleted(grown, told):
    def delete(root):
        root["a/b"].move(root["e"])
        root["a"].delete_tree()

    assert told(delete) == [("moved", "a/b", "e/b"), ("deleted", "a")]


def test_delete_only_node_is_a_delete_and_moves(grown, told, listener):
    assert told(lambda root: root.delete_node("a", only_node=True)) == [
        ("moved", "a/d", "d"),
        ("moved", "a/b", "b"),
        ("deleted", "a"),
    ]
    assert listener.changes.new_path("a/b/c") == "b/c"
    assert listener.changes.new_path("a") is None
    assert listener.changes.new_path("e") == "e"


def test_delete_only_node_below_which_one_has_its_key(db, told):
    db.run(lambda root: root.get_node_path("g/x/x").attrs.update(y=1))
    assert told(lambda root: root["g"].delete_node("x", only_node=True)) == [
        ("moved", "g/x/x", "g/x"),
        ("deleted", "g/x"),
    ]


def test_delete_only_node_of_a_branch(grown, told):
    grown.run(lambda root: root["a"].branch("shared") and None)
    assert told(lambda root: root.delete_node("shared", only_node=True)) == [
        ("moved", "shared/d", "d"),
        ("moved", "shared/b", "b"),
        ("deleted", "shared"),
    ]


def test_deleted_and_made_again(grown, told):
    def again(root):
        root["a"].delete_tree()
        root.get_node("a").attrs["new"] = 1

    assert told(again) == [("deleted", "a"), ("created", "a"), ("attribute_set", "a", "new")]


def test_replaced_by_a_node_that_is_moved_there(grown, told):
    assert told(lambda root: root.add_tree(root["e"], key="a", if_exists="replace")) == [
        ("moved", "e", "a"),
        ("deleted", "a"),
    ]


def test_all_of_the_root_is_deleted(grown, told):
    grown.run(lambda root: root.attrs.update(x=1))
    assert told(lambda root: root.delete_tree()) == [
        ("deleted", "e"),
        ("deleted", "a"),
        ("attribute_removed", "", "x"),
    ]


def test_a_node_that_gets_a_type(grown, told, listener):
    assert told(lambda root: root.get_data_node("a/b")) == [("retyped", "a/b")]
    assert listener.changes[0].value == "data"


# -- whole trees ----------------------------------------------------------------------------------


def test_a_branch_is_one_entry_with_its_source(grown, told, listener):
    assert told(lambda root: root["a"].branch("twin")) == [("added", "a", "twin")]
    assert listener.each == [
        ("created", "twin"),
        ("created", "twin/b"),
        ("created", "twin/b/c"),
        ("attribute_set", "twin/b/c", "x"),
        ("created", "twin/d"),
        ("payload_written", "twin/d", "data"),
    ]


def test_what_is_changed_in_a_branch_is_in_its_entry(grown, told, listener):
    def branch(root):
        twin = root["a"].branch("twin")
        twin["b/c"].attrs["x"] = 2
        twin.get_node("more")
        twin["d"].delete_tree()
        root["a/b/c"].attrs["y"] = 3

    assert told(branch) == [("attribute_set", "a/b/c", "y"), ("added", "a", "twin")]
    assert ("created", "twin/more") in listener.each
    assert ("created", "twin/d") not in listener.each


def test_a_change_in_a_branch_is_told_of_that_branch_alone(grown, told):
    grown.run(lambda root: root["a"].branch("twin") and None)
    assert told(lambda root: root["twin/b/c"].attrs.update(x=2)) == [("attribute_set", "twin/b/c", "x")]
    assert told(lambda root: root["a/b/c"].attrs.update(z=2)) == [("attribute_set", "a/b/c", "z")]


def test_a_branch_whose_source_goes(grown, told):
    def branch(root):
        root["a"].branch("twin")
        root["a"].delete_tree()

    assert told(branch) == [("deleted", "a"), ("added", "a", "twin")]


def test_what_leaves_a_branch_before_the_commit_is_new(grown, told):
    def branch(root):
        root["a"].branch("twin")
        root["twin/b"].attrs["y"] = 1
        root["twin/b"].move(root, "out")

    changes = told(branch)
    assert ("added", "a", "twin") in changes
    assert ("created", "out") in changes
    assert ("created", "out/c") in changes


def test_a_tree_of_memory_is_one_entry(grown, told, listener):
    def add(root):
        tree = BaseNode("tree")
        tree.get_node_path("u/v").attrs["x"] = 1
        root["e"].add_tree(tree)
        root["a"].move(root["e/tree"])

    assert told(add) == [("moved", "a", "e/tree/a"), ("added", "e/tree")]
    assert listener.each == [
        ("moved", "a", "e/tree/a"),
        ("created", "e/tree"),
        ("created", "e/tree/u"),
        ("created", "e/tree/u/v"),
        ("attribute_set", "e/tree/u/v", "x"),
    ]


def test_a_merge_tells_what_it_changed_only(grown, told):
    tree = BaseNode("tree")
    tree.get_node_path("b/c").attrs.update(x=1, y=2)
    tree.get_node_path("new/below").attrs["z"] = 3
    tree.get_data_node("d").write_data(np.zeros(2))
    assert told(lambda root: root["a"].merge_tree(tree, overwrite=True)) == [
        ("attribute_set", "a/b/c", "y"),
        ("payload_written", "a/d", "data"),
        ("added", "a/new"),
    ]
    assert told(lambda root: root["e"].merge_tree(root["a"])) == [
        ("added", "a/b", "e/b"),
        ("added", "a/d", "e/d"),
        ("added", "a/new", "e/new"),
    ]


def test_each_is_for_while_the_listener_runs(grown, listener, told):
    told(lambda root: root["a"].branch("twin"))
    with pytest.raises(ClosedError, match="until the listener returns"):
        list(listener.changes.each())
    assert repr(listener.changes[0]) == "<added 'twin' from 'a'>"


# -- what was undone ------------------------------------------------------------------------------


def test_nothing_is_told_of_what_was_undone(grown, listener):
    root = grown.open_connection()
    root.get_node("aborted").attrs["x"] = 1
    root["a"].rename("b")
    grown.abort()
    savepoint = grown.savepoint()
    root.get_node("rolled back")
    root["a/b"].move(root["e"])
    savepoint.rollback()
    root["e"].attrs["kept"] = 1
    grown.commit()
    with pytest.raises(RuntimeError), grown.connection() as other:
        other.get_node("raised")
        raise RuntimeError
    assert listener.take() == [[("attribute_set", "e", "kept")]]


def test_what_was_done_before_and_after_a_rollback_is_told(grown, listener):
    root = grown.open_connection()
    root["a/b"].rename("bb")
    savepoint = grown.savepoint()
    root["a/bb"].rename("bbb")
    root["a/bbb/c"].move(root)
    savepoint.rollback()
    root["a/bb/c"].attrs["x"] = 2
    grown.commit()
    assert listener.take() == [[("moved", "a/b", "a/bb"), ("attribute_set", "a/bb/c", "x")]]


def test_a_step_that_was_refused_leaves_no_trace(grown, told):
    def fail(root):
        with pytest.raises(TypeError):
            root["a"].merge_tree(object())
        root.get_node("clash").get_node("b")
        with pytest.raises(ValueError, match="clash"):
            root.delete_node("a", only_node=True) if root.get_node("b") else None

    assert told(fail) == [("created", "b"), ("created", "clash"), ("created", "clash/b")]


@pytest.mark.parametrize("undo", ["node", "attribute", "payload", "move", "branch"])
def test_what_is_done_and_undone_in_one_transaction_is_nothing(grown, told, undo):
    def there_and_back(root):
        if undo == "node":
            root.get_node_path("n/m")
            root["n"].delete_tree()
        elif undo == "attribute":
            root["a/b/c"].attrs["x"] = 2
            root["a/b/c"].attrs["x"] = 1
        elif undo == "payload":
            root["a/d"].write_data([1], data_attribute="p")
            root["a/d"].delete_data("p")
        elif undo == "move":
            root["a/b"].rename("z")
            root["a/z"].rename("b")
        else:
            root["a"].branch("twin").delete_tree()

    assert told(there_and_back) == []


def test_a_lost_conflict_is_not_told_and_a_merge_is_told_by_each(grown, listener):
    mine, other = grown.open_connection("mine"), grown.open_connection("other")
    mine["a/b/c"].attrs["x"] = "mine"
    other["a/b/c"].attrs["x"] = "other"
    grown.commit(mine)
    with pytest.raises(ConflictError):
        grown.commit(other)
    mine.get_node("by mine")
    other.get_node("by other")
    grown.commit(mine)
    grown.commit(other)
    assert listener.take() == [
        [("attribute_set", "a/b/c", "x")],
        [("created", "by mine")],
        [("created", "by other")],
    ]


def test_attempts_of_run_that_lost_are_not_told(grown, listener):
    attempts = []

    def attempt(root):
        attempts.append(1)
        root.get_node(f"attempt {len(attempts)}")
        if len(attempts) < 3:
            raise ConflictError("lost")

    grown.run(attempt)
    assert listener.take() == [[("created", "attempt 3")]]


def test_a_write_below_a_node_that_another_one_moves_is_told_in_order(grown, listener):
    mine, other = grown.open_connection("mine"), grown.open_connection("other")
    mine["a/b"].get_node("new")
    other["a"].rename("z")
    grown.commit(mine)
    grown.commit(other)
    assert listener.take() == [[("created", "a/b/new")], [("moved", "a", "z")]]


def test_what_a_branch_got_from_others_meanwhile_is_told_with_it(grown, listener):
    grown.run(lambda root: root["a/b/c"].get_node("d").attrs.update(x=1))
    mine, other = grown.open_connection("mine"), grown.open_connection("other")
    mine["a"].branch("twin")
    mine["twin/b"].move(mine, "out")
    other["a/b/c"].get_node("by other").attrs["y"] = 2
    grown.commit(other)
    listener.take()
    grown.commit(mine)
    assert ("added", "a", "twin") in listener.commits[-1]
    assert ("created", "out/c/by other") in listener.each
    assert "by other" in mine["out/c"]


# -- wide and deep --------------------------------------------------------------------------------


def test_a_wide_node_tells_what_changed_of_it(db, told):
    db.run(lambda root: [root.get_node(f"{number:04}") for number in range(1000)] and None)

    def change(root):
        root["0500"].attrs["x"] = 1
        root["0501"].rename("zzz")
        root["0502"].delete_tree()
        for number in range(300):
            root.get_node(f"0600-{number:03}").delete_tree()

    assert told(change) == [("deleted", "0502"), ("moved", "0501", "zzz"), ("attribute_set", "0500", "x")]


def test_a_tree_deeper_than_the_stack_of_python(db, told, listener):
    path = "/".join("x" * 1500)
    assert len(told(lambda root: root.get_node_path(path))) == 1500
    assert told(lambda root: root[path].attrs.update(y=1)) == [("attribute_set", path, "y")]
    assert told(lambda root: root["x"].rename("z")) == [("moved", "x", "z")]


def test_large_values_in_records_of_their_own(db, told):
    def create(root):
        root.get_node("leaf").attrs["long"] = "x" * 3000
        root.get_node("branch").attrs["long"] = "x" * 3000
        root["branch"].get_node("leaf")

    db.run(create)

    def change(root):
        root["leaf"].attrs["long"] = "y" * 3000
        root["branch"].attrs["long"] = "y" * 3000

    assert told(change) == [("attribute_set", "branch", "long"), ("attribute_set", "leaf", "long")]
    assert told(lambda root: root["leaf"].branch("twin")) == [("added", "leaf", "twin")]
    assert told(lambda root: root["twin"].attrs.update(x=1)) == [("attribute_set", "twin", "x")]
