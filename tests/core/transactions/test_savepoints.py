"""Savepoints: returning to one, again, step by step, and when they end."""

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
)

from lotdb import BaseNode, ClosedError


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
    in_records = backend != "npy" and db._storage.has_blobs  # where what is small lies
    assert len(files(folder)) == (not in_records)
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
