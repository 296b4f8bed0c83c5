"""A transaction takes effect as a whole or not at all: tree, attributes and payloads."""

import errno
import os

import numpy as np
import pytest
from tests.core.transactions.two_connections import (
    LARGE,
    NEW,
    OLD,
    begin,
    commit_both,
    conflict,
    files,
    fill,
    uncommitted_blobs,
    value,
)

from lotdb import LOTDB, BaseNode, CommitInDoubtError, StaleNodeError, UnsupportedValueError


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
