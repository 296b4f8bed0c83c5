"""Transactions: all or nothing, snapshots, savepoints and conflicts, over the tree and its payloads."""

import contextlib
import errno
import hashlib
import logging
import math
import os
import runpy
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    BaseNode,
    ClosedError,
    CommitInDoubtError,
    ConflictError,
    InvalidOptionError,
    NodeExistsError,
    Plugins,
    ReadOnlyError,
    StaleNodeError,
    UnsupportedValueError,
    WrongNodeError,
    WrongThreadError,
    hookimpl,
)

npy_backend = runpy.run_path(str(Path(__file__).with_name("npy_backend.py")))

OLD, NEW = np.arange(6.0), np.arange(60.0) + 100
LARGE = np.arange(200_000.0)  # so large that it is written at once, not at the commit


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture(params=["blob", "npy"])
def backend(request):
    return request.param


@pytest.fixture
def db(folder):
    plugins = npy_backend["plugins_with"](npy_backend["NpyBackend"])
    with LOTDB(folder, plugins=plugins, durability="process") as db:
        yield db


@pytest.fixture
def mine(db):
    """The root in the connection that begins first and commits last."""
    return db.open_connection("mine")


@pytest.fixture
def theirs(db):
    return db.open_connection("theirs")


def fill(db, *paths, value=0):
    """Make nodes before the test begins."""
    with db.connection() as root:
        for path in paths:
            root.get_node_path(path).set_attribute("value", value)


def begin(db):
    """Both connections begin a new transaction, on the same state."""
    db.abort("mine")
    db.abort("theirs")


def commit_both(db):
    """Theirs first, so that mine is the one that may be in conflict."""
    db.commit("theirs")
    db.commit("mine")


@contextlib.contextmanager
def conflict():
    with pytest.raises(ConflictError, match="another transaction changed the same part"):
        yield


def value(db, path):
    with db.connection() as root:
        return root[path].get_attribute("value")


def files(folder):
    """The files of committed payloads, and of those that another backend than blob has staged."""
    return sorted(path for path in folder.rglob("*") if path.suffix in (".npy", ".blob") and path.is_file())


def uncommitted_blobs(folder):
    return [path for path in (folder / "lotdb.fs.blobs" / "tmp").rglob("*") if path.is_file()]


def file_hashes(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# -- all or nothing -------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [NEW, LARGE], ids=["small", "large"])
def test_nothing_is_seen_by_others_before_the_commit_and_all_of_it_after(db, mine, theirs, backend, data):
    mine.get_node("a").set_attribute("value", 1)
    mine.get_data_node("b", backend=backend).write_data(data)
    db.abort("theirs")
    assert list(theirs) == []
    db.commit("mine")
    db.abort("theirs")
    assert theirs["a"].get_attribute("value") == 1
    np.testing.assert_array_equal(theirs["b"].read_data(), data)


@pytest.mark.parametrize("data", [NEW, LARGE], ids=["small", "large"])
def test_abort_forgets_tree_attributes_and_payloads(db, folder, mine, backend, data):
    node = mine.get_data_node("a", backend=backend)
    node.write_data(OLD)
    node.set_attribute("value", 1)
    mine.get_node("b")
    db.commit("mine")
    before = files(folder)

    node.replace_data(data)
    node.write_data(data, data_attribute="second")
    node.append_data(data, data_attribute="third")
    node.set_attribute("value", 2)
    mine["b"].delete_tree()
    mine.get_node("c")
    db.abort("mine")

    assert list(mine) == ["a", "b"]
    assert node.get_attribute("value") == 1
    assert not node.has_data("second")
    assert not node.has_data("third")
    np.testing.assert_array_equal(node.read_data(), OLD)
    assert files(folder) == before
    assert uncommitted_blobs(folder) == []


@pytest.mark.parametrize("data", [NEW, LARGE], ids=["small", "large"])
def test_an_exception_in_a_connection_forgets_what_was_changed(db, folder, backend, data):
    fill(db, "a", value=1)
    with pytest.raises(ZeroDivisionError), db.connection() as root:
        root["a"].set_attribute("value", 2)
        root.get_data_node("b", backend=backend).write_data(data)
        1 / 0  # noqa: B018
    with db.connection() as root:
        assert list(root) == ["a"]
        assert root["a"].get_attribute("value") == 1
    assert files(folder) == []
    assert uncommitted_blobs(folder) == []


@pytest.mark.parametrize("data", [NEW, LARGE], ids=["small", "large"])
def test_a_conflict_leaves_no_payload_of_the_loser(db, folder, mine, theirs, backend, data):
    fill(db, "a")
    begin(db)
    mine["a"].set_attribute("value", 1)
    mine.get_data_node("b", backend=backend).write_data(data)
    theirs["a"].set_attribute("value", 2)
    with conflict():
        commit_both(db)
    assert list(mine) == ["a"]
    assert value(db, "a") == 2
    assert files(folder) == []
    assert uncommitted_blobs(folder) == []


def test_a_conflict_begins_a_new_transaction_that_sees_what_won(db, mine, theirs):
    fill(db, "a")
    begin(db)
    mine["a"].set_attribute("value", 1)
    theirs["a"].set_attribute("value", 2)
    with conflict():
        commit_both(db)
    assert mine["a"].get_attribute("value") == 2
    mine["a"].set_attribute("value", 3)
    db.commit("mine")
    assert value(db, "a") == 3


def test_closing_a_connection_forgets_what_was_not_committed(db, folder, mine, backend):
    mine.get_data_node("a", backend=backend).write_data(LARGE)
    db.close_connection("mine")
    with db.connection() as root:
        assert list(root) == []
    assert files(folder) == []
    assert uncommitted_blobs(folder) == []


def test_several_attributes_are_set_all_or_none(db, mine):
    with pytest.raises(UnsupportedValueError, match="bad"):
        mine.attrs.update(good=1, bad=object())
    assert dict(mine.attrs) == {}


def test_a_handle_is_right_again_after_abort(db, mine):
    fill(db, "a/b/c", value=1)
    db.abort("mine")
    c = mine["a/b/c"]
    del mine["a"]
    with pytest.raises(StaleNodeError, match="'a/b/c' is gone"):
        c.get_attribute("value")
    db.abort("mine")
    assert c.get_attribute("value") == 1


def test_a_handle_of_a_node_whose_creation_was_aborted_says_so(db, mine):
    node = mine.get_node("a")
    db.abort("mine")
    with pytest.raises(StaleNodeError, match=r"node 'a' is gone: .*its creation was undone"):
        node.set_attribute("value", 1)
    assert list(mine) == []


@pytest.mark.parametrize("how", ["rename", "move", "add_tree"])
def test_a_moved_node_is_where_it_was_after_abort(db, mine, how):
    fill(db, "a", "b")
    db.abort("mine")
    node = mine["a"]
    below = node.get_node("below")
    db.commit("mine")
    {
        "rename": lambda: node.rename("c"),
        "move": lambda: node.move(mine["b"]),
        "add_tree": lambda: mine["b"].add_tree(node),
    }[how]()
    db.abort("mine")
    assert (node.path, below.path) == ("a", "a/below")
    assert node.get_attribute("value") == 0
    assert node == mine["a"]


def test_a_tree_from_memory_is_in_memory_again_after_abort(db, folder, mine, backend):
    tree = BaseNode("tree", plugins=db.plugins)
    below = tree.get_data_node("below", backend=backend)
    below.write_data(LARGE)
    mine.add_tree(tree)
    assert below.path == "tree/below"
    db.abort("mine")
    assert list(mine) == []
    assert below.path == "below"
    np.testing.assert_array_equal(below.read_data(), LARGE)
    assert files(folder) == []
    mine.add_tree(tree)
    db.commit("mine")
    with db.connection() as root:
        np.testing.assert_array_equal(root["tree/below"].read_data(), LARGE)


def test_a_failing_disk_at_the_commit_point_is_in_doubt_and_reopening_tells(db, folder, mine, monkeypatch):
    mine.get_data_node("a").write_data(OLD)
    db.commit("mine")
    mine["a"].replace_data(NEW)

    def fail(self, file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(type(db._zodb.storage._disk), "sync", fail)
        with pytest.raises(CommitInDoubtError, match="open it again and look"):
            db.commit("mine")
    with pytest.raises(CommitInDoubtError, match="open it again and look"):
        mine["a"].read_data()
    with pytest.raises(CommitInDoubtError, match="open it again and look"):
        db.open_connection("other")
    db.close()
    with LOTDB(folder) as again:
        assert again.verify() == []
        with again.connection() as root:
            assert len(root["a"].read_data()) in (len(OLD), len(NEW))


# -- savepoints -----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [NEW, LARGE], ids=["small", "large"])
def test_rollback_forgets_what_came_after_the_savepoint_and_keeps_what_came_before(
    db, folder, mine, backend, data
):
    node = mine.get_data_node("a", backend=backend)
    node.write_data(OLD)
    node.set_attribute("value", 1)
    savepoint = db.savepoint("mine")
    node.replace_data(data)
    node.set_attribute("value", 2)
    mine.get_data_node("b", backend=backend).write_data(data)
    savepoint.rollback()
    assert list(mine) == ["a"]
    assert node.get_attribute("value") == 1
    np.testing.assert_array_equal(node.read_data(), OLD)
    db.commit("mine")
    with db.connection() as root:
        assert list(root) == ["a"]
        np.testing.assert_array_equal(root["a"].read_data(), OLD)
    assert len(files(folder)) == 1
    assert db.verify() == []


def test_a_savepoint_before_the_first_change_can_be_returned_to(db, folder, mine, backend):
    savepoint = db.savepoint("mine")
    mine.get_data_node("a", backend=backend).write_data(LARGE)
    savepoint.rollback()
    assert list(mine) == []
    assert files(folder) == []
    mine.get_data_node("b", backend=backend).write_data(NEW)
    db.commit("mine")
    with db.connection() as root:
        np.testing.assert_array_equal(root["b"].read_data(), NEW)


def test_a_savepoint_can_be_returned_to_again(db, mine, backend):
    node = mine.get_data_node("a", backend=backend)
    node.write_data(OLD)
    savepoint = db.savepoint("mine")
    for data in (NEW, LARGE, NEW):
        node.append_data(data)
        savepoint.rollback()
        np.testing.assert_array_equal(node.read_data(), OLD)


def test_nested_savepoints_return_step_by_step(db, mine, backend):
    node = mine.get_data_node("a", backend=backend)
    savepoints = []
    for number in range(4):
        node.set_attribute("value", number)
        node.append_data(np.full(10, float(number)))
        savepoints.append(db.savepoint("mine"))
    for number in reversed(range(4)):
        node.set_attribute("value", -1)
        node.append_data(LARGE)
        savepoints[number].rollback()
        assert node.get_attribute("value") == number
        np.testing.assert_array_equal(node.read_data(), np.repeat(np.arange(number + 1.0), 10))
    db.commit("mine")
    with db.connection() as root:
        np.testing.assert_array_equal(root["a"].read_data(), np.zeros(10))


def test_returning_to_an_earlier_savepoint_ends_the_later_ones(db, mine):
    first = db.savepoint("mine")
    mine.set_attribute("value", 1)
    second = db.savepoint("mine")
    first.rollback()
    with pytest.raises(ClosedError, match="this savepoint has ended"):
        second.rollback()
    assert "value" not in mine.attrs


@pytest.mark.parametrize("end", ["commit", "abort"])
def test_a_savepoint_ends_with_its_transaction(db, mine, end):
    savepoint = db.savepoint("mine")
    mine.set_attribute("value", 1)
    getattr(db, end)("mine")
    mine.set_attribute("value", 2)
    with pytest.raises(ClosedError, match="this savepoint has ended"):
        savepoint.rollback()
    assert mine.get_attribute("value") == 2


def test_abort_forgets_what_came_before_a_savepoint_too(db, folder, mine, backend):
    mine.get_data_node("a", backend=backend).write_data(LARGE)
    db.savepoint("mine")
    mine.get_data_node("b", backend=backend).write_data(LARGE)
    db.abort("mine")
    assert list(mine) == []
    assert files(folder) == []
    assert uncommitted_blobs(folder) == []


def test_rollback_does_not_forget_what_a_change_before_the_savepoint_depended_on(db, mine, theirs):
    fill(db, "a/b/c")
    begin(db)
    mine["a/b/c"].set_attribute("value", 1)
    savepoint = db.savepoint("mine")
    mine.set_attribute("value", 1)
    savepoint.rollback()
    del theirs["a"]
    with conflict():
        commit_both(db)


def test_a_tree_from_memory_is_in_memory_again_after_rollback(db, mine):
    tree = BaseNode("tree")
    mine.get_node("before")
    savepoint = db.savepoint("mine")
    mine.add_tree(tree)
    savepoint.rollback()
    assert list(mine) == ["before"]
    tree.get_node("below")
    assert tree.path == ""
    mine.add_tree(tree)
    assert list(mine["tree"]) == ["below"]


# -- readers --------------------------------------------------------------------------------------


def test_a_reader_keeps_its_moment_while_others_commit_replace_delete_and_pack(db, mine, theirs, backend):
    datas = {"replaced": OLD, "deleted": NEW, "appended": LARGE, "below/deep": OLD}
    for path, data in datas.items():
        node = mine.get_data_node(path, backend=backend)
        node.write_data(data)
        node.set_attribute("value", path)
    db.commit("mine")
    db.abort("theirs")  # the reader begins here, and has not read anything yet
    for _ in range(2):
        mine["replaced"].replace_data(NEW)
        mine["replaced"].set_attribute("value", "new")
        mine["appended"].append_data(LARGE)
        if "deleted" in mine:
            del mine["deleted"]
            mine["below"].rename("elsewhere")
        mine.get_node("new")
        db.commit("mine")
        db.pack()
        assert sorted(theirs) == ["appended", "below", "deleted", "replaced"]
        for path, data in datas.items():
            np.testing.assert_array_equal(theirs[path].read_data(), data)
            assert theirs[path].get_attribute("value") == path
    db.abort("theirs")
    assert sorted(theirs) == ["appended", "elsewhere", "new", "replaced"]
    np.testing.assert_array_equal(theirs["replaced"].read_data(), NEW)
    assert len(theirs["appended"].read_data()) == 3 * len(LARGE)
    db.pack()
    assert db.verify() == []
    np.testing.assert_array_equal(mine["elsewhere/deep"].read_data(), OLD)


def test_a_payload_that_was_obtained_stays_what_it_was(db, mine, backend):
    node = mine.get_data_node("a", backend=backend)
    node.write_data(OLD)
    db.commit("mine")
    payload = node.get_data()
    node.append_data(NEW)
    assert payload.shape == (6,)
    np.testing.assert_array_equal(payload.read(), OLD)
    node.replace_data(LARGE)
    db.commit("mine")
    np.testing.assert_array_equal(payload.read(), OLD)


def test_pack_spares_what_another_connection_has_staged(db, mine, theirs, backend):
    mine.get_data_node("small", backend=backend).write_data(NEW)
    mine.get_data_node("large", backend=backend).write_data(LARGE)
    theirs.get_node("x")
    db.commit("theirs")
    db.pack()
    db.commit("mine")
    with db.connection() as root:
        np.testing.assert_array_equal(root["small"].read_data(), NEW)
        np.testing.assert_array_equal(root["large"].read_data(), LARGE)


def test_pack_spares_what_came_before_a_savepoint(db, mine, theirs, backend):
    mine.get_data_node("small", backend=backend).write_data(NEW)
    mine.get_data_node("large", backend=backend).write_data(LARGE)
    db.savepoint("mine")
    theirs.get_node("x")
    db.commit("theirs")
    db.pack()
    db.commit("mine")
    with db.connection() as root:
        np.testing.assert_array_equal(root["small"].read_data(), NEW)
        np.testing.assert_array_equal(root["large"].read_data(), LARGE)


def test_pack_gives_back_what_nobody_can_reach_and_keeps_what_a_copy_holds(db, folder, mine, backend):
    for name in ("copied", "dropped"):
        mine.get_data_node(name, backend=backend).write_data(LARGE)
    db.commit("mine")
    mine["copied"].branch("copy")
    del mine["copied"], mine["dropped"]
    db.commit("mine")
    assert len(files(folder)) == 2
    db.pack()
    assert len(files(folder)) == 1
    np.testing.assert_array_equal(mine["copy"].read_data(), LARGE)
    del mine["copy"]
    db.commit("mine")
    db.pack()
    assert files(folder) == []


def test_a_detached_copy_stays_readable_when_its_origin_is_deleted_and_packed(db, mine):
    node = mine.get_data_node("a")
    node.write_data(LARGE)
    db.commit("mine")
    copy = node.copy_tree()
    del mine["a"]
    db.commit("mine")
    db.pack()
    np.testing.assert_array_equal(copy.read_data(), LARGE)


def test_a_pack_spares_the_moment_of_a_connection_that_is_just_being_opened(db, mine, monkeypatch):
    mine.attrs["v"] = "old"
    db.commit("mine")
    open_connection = db._zodb.open

    def open_beside_a_pack(*args):
        connection = open_connection(*args)
        connection.cacheMinimize()
        monkeypatch.undo()
        mine.attrs["v"] = "new"
        db.commit("mine")
        db.pack()
        return connection

    monkeypatch.setattr(db._zodb, "open", open_beside_a_pack)
    with db.connection() as root:
        assert root.attrs["v"] == "old"
    db.pack()
    assert db.verify() == []


def test_a_pack_spares_the_moment_of_a_connection_that_was_opened_as_it_began(db, mine, monkeypatch):
    mine.attrs["v"] = "old"
    db.commit("mine")
    db.close_connection("mine")  # so that no connection is open when the pack asks
    oldest_snapshot = db._oldest_snapshot
    opened = []

    def open_behind_it():
        found = oldest_snapshot()
        opened.append(db.open_connection("late"))
        db._sessions["late"].connection.cacheMinimize()
        with db.connection() as root:
            root.attrs["v"] = "new"
        return found

    monkeypatch.setattr(db, "_oldest_snapshot", open_behind_it)
    db.pack()
    assert opened[0].attrs["v"] == "old"


def test_a_pack_may_ask_for_the_connections_while_others_are_opened_and_copied(db):
    held = [db.open_connection(str(number)) for number in range(50)]  # so that it takes a while to list them
    stop = threading.Event()
    failures = []

    def work():
        try:
            while not stop.is_set():
                with db.connection() as root:
                    root.copy_tree()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(500):
            db._oldest_snapshot()
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert len(held) == 50


def test_iterating_goes_on_when_the_transaction_is_committed_in_between(db, mine):
    fill(db, *(f"a{number:03}" for number in range(600)))
    db.abort("mine")
    seen = []
    for node in mine.iterate_tree_level(1):
        node.set_attribute("value", 1)
        seen.append(node.key)
        if len(seen) % 100 == 0:
            db.commit("mine")
    assert seen == [f"a{number:03}" for number in range(600)]


# -- conflicts ------------------------------------------------------------------------------------


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


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("below", BELOW)
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


@pytest.mark.usefixtures("quiet_merges")
@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("below", BELOW)
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


# -- run ------------------------------------------------------------------------------------------


def test_run_tries_again_until_every_increment_of_four_threads_is_there(db):
    fill(db, "counter")
    failures = []

    def increment(root):
        counter = root["counter"]
        counter.set_attribute("value", counter.get_attribute("value") + 1)
        log = root.get_data_node("log")
        log.append_data(np.array([counter.get_attribute("value")]))

    def work():
        try:
            for _ in range(25):
                db.run(increment, attempts=200)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert value(db, "counter") == 100
    with db.connection() as root:
        assert root["log"].read_data().tolist() == list(range(1, 101))
    assert db.verify() == []


def test_run_gives_what_the_function_gave(db):
    assert db.run(lambda root: root.get_node("a").path) == "a"


def test_run_gives_up_after_the_attempts_it_was_given(db):
    fill(db, "a")
    calls = []

    def collide(root):
        calls.append(None)
        root["a"].set_attribute("value", 1)
        with db.connection() as other:
            other["a"].set_attribute("value", -len(calls))

    with conflict():
        db.run(collide, attempts=3)
    assert len(calls) == 3
    assert value(db, "a") == -3


def test_run_does_not_try_again_after_another_error(db):
    calls = []

    def fail(root):
        calls.append(root.get_node("a"))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        db.run(fail)
    assert len(calls) == 1
    with db.connection() as root:
        assert "a" not in root


@pytest.mark.parametrize("attempts", [0, -1, 1.5, True, "2"])
def test_run_refuses_a_number_of_attempts_that_is_none(db, attempts):
    with pytest.raises(InvalidOptionError, match="attempts is"):
        db.run(lambda root: None, attempts=attempts)


# -- threads and processes ------------------------------------------------------------------------


def error_in_thread(function):
    caught = []

    def call():
        try:
            function()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return caught[0] if caught else None


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda db, root: root["a"], id="getitem"),
        pytest.param(lambda db, root: root["a"].get_attribute("value"), id="get_attribute"),
        pytest.param(lambda db, root: root["a"].set_attribute("value", 1), id="set_attribute"),
        pytest.param(lambda db, root: root["a"].read_data(), id="read_data"),
        pytest.param(lambda db, root: root["a"].write_data(OLD), id="write_data"),
        pytest.param(lambda db, root: root.get_node("new"), id="get_node"),
        pytest.param(lambda db, root: list(root), id="list"),
        pytest.param(lambda db, root: db.commit("mine"), id="commit"),
        pytest.param(lambda db, root: db.abort("mine"), id="abort"),
        pytest.param(lambda db, root: db.savepoint("mine"), id="savepoint"),
        pytest.param(lambda db, root: db.close_connection("mine"), id="close_connection"),
        pytest.param(lambda db, root: db.open_connection("mine"), id="open_connection"),
    ],
)
def test_another_thread_cannot_use_a_connection_and_does_it_no_harm(db, mine, use):
    mine.get_data_node("a").write_data(NEW)
    db.commit("mine")
    mine["a"].set_attribute("value", 7)
    error = error_in_thread(lambda: use(db, mine))
    assert isinstance(error, WrongThreadError)
    assert "belongs to another thread; open one in each thread" in str(error)
    assert list(mine) == ["a"]
    db.commit("mine")
    assert value(db, "a") == 7


def test_a_handle_and_a_payload_cannot_be_used_by_another_thread_either(db, mine):
    node = mine.get_data_node("a")
    payload = node.write_data(LARGE)
    node.get_attribute("value")
    for use in (
        lambda: node.get_attribute("value"),
        lambda: node.set_attribute("value", 1),
        payload.read,
        lambda: payload[3],
        lambda: np.asarray(payload),
    ):
        assert isinstance(error_in_thread(use), WrongThreadError)


def test_closing_the_database_from_another_thread_is_refused_and_changes_nothing(db, mine):
    mine.set_attribute("value", 7)
    error = error_in_thread(db.close)
    assert isinstance(error, WrongThreadError)
    assert mine.get_attribute("value") == 7
    db.commit("mine")
    with db.connection() as root:
        assert root.get_attribute("value") == 7


FORK = """
import os, sys, lotdb
db = lotdb.LOTDB(sys.argv[1])
root = db.open_connection()
root.get_node("before")
db.commit()
root.get_node("parent")
child = os.fork()
if child == 0:
    refused = 0
    uses = (
        lambda: root["before"],
        lambda: root.get_node("child"),
        lambda: db.commit(),
        lambda: db.abort(),
        lambda: db.open_connection("child"),
        lambda: db.run(list),
        lambda: db.pack(),
        lambda: db.verify(),
    )
    for use in uses:
        try:
            use()
        except lotdb.WrongThreadError as error:
            refused += "before this one was forked from it" in str(error)
    db.close()
    os._exit(0 if refused == len(uses) else 1)
assert os.waitpid(child, 0)[1] == 0, "the child was not refused"
assert sorted(root) == ["before", "parent"]
db.commit()
assert db.verify() == []
db.close()
"""


def test_a_forked_child_is_refused_and_the_database_of_its_parent_is_fine(folder):
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK, folder], check=True)
    with LOTDB(folder) as db, db.connection() as root:
        assert sorted(root) == ["before", "parent"]


# -- closed, mistyped, read-only ------------------------------------------------------------------


def test_a_closed_connection_says_so(db, mine):
    node = mine.get_data_node("a")
    payload = node.write_data(NEW)
    db.commit("mine")
    db.close_connection("mine")
    for use in (
        lambda: mine["a"],
        lambda: node.get_attribute("value"),
        lambda: node.set_attribute("value", 1),
        lambda: node.read_data(),
        payload.read,
        lambda: mine.get_node("b"),
    ):
        with pytest.raises(ClosedError, match=r"this connection to database .* is closed"):
            use()
    with pytest.raises(ClosedError, match="no open connection 'mine'"):
        db.commit("mine")


def test_the_root_of_a_block_that_was_left_says_so(db):
    with db.connection() as root:
        pass
    with pytest.raises(ClosedError, match=r"this connection to database .* is closed"):
        root.get_node("a")


def test_a_closed_database_says_so(db, mine):
    node = mine.get_node("a")
    db.commit("mine")
    savepoint = db.savepoint("mine")
    db.close()
    for use in (
        lambda: node.get_attribute("value"),
        lambda: mine.get_node("b"),
        lambda: db.open_connection(),
        lambda: db.commit("mine"),
        lambda: db.abort("mine"),
        lambda: db.close_connection("mine"),
        lambda: db.run(list),
        savepoint.rollback,
        db.savepoint,
        db.pack,
        db.verify,
        db.connection().__enter__,
    ):
        with pytest.raises(ClosedError, match=r"database .* is closed"):
            use()
    db.close()


@pytest.mark.parametrize("use", ["commit", "abort", "savepoint", "close_connection"])
def test_an_unknown_connection_is_named_beside_those_that_are_open(db, mine, theirs, use):
    with pytest.raises(ClosedError, match=r"no open connection 'typo' \(open: 'mine', 'theirs'\)"):
        getattr(db, use)("typo")


def test_opening_a_connection_that_is_open_gives_its_root_again(db, mine):
    mine.set_attribute("value", 1)
    assert db.open_connection("mine") == mine
    assert db.open_connection("mine").get_attribute("value") == 1


def test_a_node_of_another_connection_is_refused(db, mine, theirs):
    fill(db, "a")
    begin(db)
    with pytest.raises(WrongNodeError, match="pass copy=True"):
        mine.add_tree(theirs["a"], key="b")
    assert list(mine) == ["a"]


def test_a_read_only_database_refuses_writes_of_every_kind_and_no_byte_changes(db, folder, mine, backend):
    node = mine.get_data_node("a", backend=backend)
    node.write_data(OLD)
    node.set_attribute("value", 1)
    db.commit("mine")
    plugins = db.plugins
    db.close()
    before = file_hashes(folder)
    with LOTDB(folder, read_only=True, plugins=plugins) as reader:
        root = reader.open_connection()
        for write in (
            lambda: root["a"].set_attribute("value", 2),
            lambda: root["a"].write_data(LARGE),
            lambda: root["a"].append_data(NEW),
            lambda: root["a"].delete_data(),
            lambda: root.get_node("new"),
            lambda: root["a"].delete_tree(),
            reader.pack,
        ):
            with pytest.raises(ReadOnlyError, match="read_only=True"):
                write()
        reader.commit()
        with reader.connection() as other:
            np.testing.assert_array_equal(other["a"].read_data(), OLD)
        assert reader.verify() == []
    assert file_hashes(folder) == before


def test_a_listener_that_fails_ends_the_transaction_of_run(folder):
    class Listener:
        @hookimpl
        def lotdb_node_created(self, node):
            raise RuntimeError("not today")

    plugins = Plugins()
    plugins.register(Listener(), name="moody")
    with LOTDB(folder, plugins=plugins) as db:
        with pytest.raises(RuntimeError, match="not today"):
            db.run(lambda root: root.get_node("a"))
        with db.connection() as root:
            assert list(root) == []


def test_bad_input_leaves_the_transaction_as_it_was(db, mine):
    mine.get_data_node("a").write_data(OLD)
    mine["a"].set_attribute("value", 1)
    mine.get_node("b")
    for wrong, error in (
        (lambda: mine["a"].set_attribute("value", object()), UnsupportedValueError),
        (lambda: mine["a"].rename("b"), NodeExistsError),
        (lambda: mine.add_tree("a"), WrongNodeError),
        (lambda: mine["a"].write_data(NEW, if_exists="sometimes"), InvalidOptionError),
        (lambda: mine["a"].write_data(NEW, nosuch=1), InvalidOptionError),
    ):
        with pytest.raises(error):
            wrong()
    db.commit("mine")
    with db.connection() as root:
        assert list(root) == ["a", "b"]
        assert root["a"].get_attribute("value") == 1
        np.testing.assert_array_equal(root["a"].read_data(), OLD)


def test_a_connection_that_could_not_be_opened_is_forgotten_though_its_error_is_kept(tmp_path, monkeypatch):
    def failing(*args):
        raise MemoryError

    with LOTDB(tmp_path / "db") as db:
        kept = []
        with monkeypatch.context() as patched:
            patched.setattr(type(db.open_connection("other")), "_at", failing)
            try:
                db.open_connection()
            except MemoryError as error:
                kept.append(error)
        assert kept
        root = db.open_connection()
        root.attrs["label"] = "right"
        db.commit()
        db.close_connection()
        db.close_connection("other")
        assert db._open_connections() == []
        db.pack()
        assert db.run(lambda root: root.attrs["label"]) == "right"
