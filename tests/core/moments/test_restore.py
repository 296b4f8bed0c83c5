"""Bringing a node back from a moment: what it costs, what it shares, and what it stays apart from."""

import threading

import numpy as np
import pytest
from tests.core.moments.pictures import picture

from lotdb import (
    LOTDB,
    BaseNode,
    ConflictError,
    InvalidOptionError,
    MomentGoneError,
    MomentNotFoundError,
    NodeNotFoundError,
    StaleNodeError,
)


def fill(db, groups=20, leaves=30):
    with db.connection() as root:
        for group in range(groups):
            for leaf in range(leaves):
                root.get_node_path(f"big/g{group}/n{leaf}").attrs["x"] = leaf
        root.get_data_node("big/data").write_data(np.arange(100_000))
    return db.last_commit


def size(folder):
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


@pytest.mark.sampled(1)
@pytest.mark.parametrize("groups", [3, 100])
def test_what_was_deleted_comes_back_without_a_copy(db, folder, groups):
    made = fill(db, groups)
    with db.connection() as root:
        before = picture(root["big"])
        root["big"].delete_tree()
    grown = size(folder)
    with db.connection() as root:
        node = root.get_node("big").restore(made)
        assert node.path == "big"
        assert picture(node) == before
    assert size(folder) - grown < 2000  # however many nodes are below, and whatever their payloads take
    assert db.verify() == []
    db.pack()
    with db.connection() as root:
        assert picture(root["big"]) == before


def test_what_has_changed_is_copied_and_the_rest_is_shared(db, folder):
    made = fill(db, groups=100)
    with db.connection() as root:
        before = picture(root["big"])
        root["big/g7/n7"].attrs["x"] = "changed"
        root["big/data"].append_data(np.arange(10))
        root["big/g8"].delete_tree()
    changed = db.last_commit
    grown = size(folder)
    with db.connection() as root:
        after = picture(root["big"])
        assert picture(root["big"].restore(made)) == before
    assert size(folder) - grown < 20_000  # the list of the hundred groups, and one group
    with db.connection() as root:
        root["big/g9/n1"].attrs["x"] = "later"
        root["big"].restore(changed)
    with db.connection() as root:
        assert picture(root["big"]) == after
    with db.at(made) as root:
        assert picture(root["big"]) == before
    assert db.verify() == []


def test_a_node_that_is_elsewhere_by_now_is_not_changed_with_what_is_restored(db):
    made = fill(db, groups=3, leaves=3)
    with db.connection() as root:
        before = picture(root["big"])
        root["big/g1"].move(root, "moved")
        root["big"].rename("renamed")
    with db.connection() as root:
        root.get_node("big").restore(made)
    with db.connection() as root:
        root["moved/n1"].attrs["x"] = "in place"
        root["renamed/g2/n2"].attrs["x"] = "in place"
        root["renamed"].get_node("new")
        assert picture(root["big"]) == before
    with db.connection() as root:
        root["big/g1/n0"].attrs["x"] = "restored"
        root["big/g0/n0"].attrs["x"] = "restored"
        assert root["moved/n0"].attrs["x"] == 0
        assert root["renamed/g0/n0"].attrs["x"] == 0
    assert db.verify() == []


def test_branches_of_what_is_restored_stay_what_they_are(db):
    made = fill(db, groups=3, leaves=3)
    with db.connection() as root:
        before = picture(root["big"])
        root["big"].branch("copy")
    with db.connection() as root:
        root["big/g0/n0"].attrs["x"] = "new"
        root["copy/g1/n1"].attrs["x"] = "new"
        copied = picture(root["copy"])
    with db.connection() as root:
        root["big"].restore(made)
        root.get_node("third").get_node("x")
    with db.connection() as root:
        root["big/g2/n2"].attrs["x"] = "newer"
        assert picture(root["copy"]) == copied
        root["big"].restore(made)
        root["copy/g0/n0"].attrs["x"] = "newest"
        assert picture(root["big"]) == before
    assert db.verify() == []


def test_the_root_goes_back_as_a_whole(db):
    fill(db, groups=3, leaves=3)
    with db.connection() as root:
        root.attrs["name"] = "first"
        root.get_node("small").attrs["x"] = 1
        before = picture(root)
    made = db.last_commit
    with db.connection() as root:
        root.attrs["name"] = "second"
        root["small"].delete_tree()
        root["big/g0"].delete_tree()
        root.get_node("new").get_node("below")
    with db.connection(note="back") as root:
        assert root.restore(made) == root
        assert picture(root) == before
    with db.connection() as root:
        assert picture(root) == before
    assert db.verify() == []


def test_nothing_is_done_where_nothing_has_changed(db):
    made = fill(db, groups=3, leaves=3)
    with db.connection() as root:
        root.get_node("other")
    last = db.last_commit
    with db.connection() as root:
        root["big"].restore(made)
    assert db.last_commit == last


def test_what_this_transaction_has_changed_is_taken_back_too(db):
    made = fill(db, groups=3, leaves=3)
    with db.connection() as root:
        before = picture(root["big"])
        root["big/g0/n0"].attrs["x"] = "uncommitted"
        root["big/g1"].move(root, "away")
        point = db.savepoint(root)
        root["big"].restore(made)
        assert picture(root["big"]) == before
        root["away/n0"].attrs["x"] = "away"
        assert picture(root["big"]) == before
        point.rollback()
        assert root["big/g0/n0"].attrs["x"] == "uncommitted"
        root["big"].restore(made)
    with db.connection() as root:
        assert picture(root["big"]) == before
        assert len(root["away"]) == 3
    assert db.verify() == []


def test_what_was_put_aside_and_is_in_memory_no_longer_is_taken_back_too(db, monkeypatch):
    monkeypatch.setattr("lotdb.tree.touched.MOST", 10)  # which holds the handles of what was changed
    with db.connection() as root:
        for number in range(300):  # so long that each has a record of its own
            root.get_node_path(f"a/{number:03}").attrs["x"] = "before" * 200
    made = db.last_commit
    with db.connection() as root:
        for number in range(300):
            root[f"a/{number:03}"].attrs["x"] = "after" * 200
        db.savepoint(root)
        root._tree._session.connection.cacheMinimize()
        root["a"].restore(made)
    with db.connection() as root:
        assert {node.attrs["x"] for node in root["a"].values()} == {"before" * 200}


def test_an_abort_takes_back_what_was_restored(db):
    made = fill(db, groups=2, leaves=2)
    with db.connection() as root:
        root["big"].delete_tree()
    with pytest.raises(RuntimeError), db.connection() as root:
        root.get_node("big").restore(made)
        raise RuntimeError
    with db.connection() as root:
        assert "big" not in root
    assert db.verify() == []


def test_another_types_node_comes_back_with_its_type(db):
    made = fill(db, groups=1, leaves=1)
    with db.connection() as root:
        root["big/data"].delete_tree()
        node = root["big"].get_node("data").restore(made)
        assert node.node_type == "data"
        assert node.read_data(0, 3).tolist() == [0, 1, 2]


def test_what_cannot_be_restored_is_said(db):
    old = fill(db, groups=1, leaves=1)
    with db.connection() as root:
        root.get_node("new")
    made = db.last_commit
    with db.connection() as root:
        with pytest.raises(NodeNotFoundError, match="'new'"):
            root["new"].restore(old)
        with pytest.raises(MomentNotFoundError):
            root["new"].restore("nothing")
        with pytest.raises(InvalidOptionError):
            root["new"].restore(5)
        gone = root["new"]
        root["new"].delete_tree()
        with pytest.raises(StaleNodeError):
            gone.restore(made)
    with pytest.raises(InvalidOptionError, match="no earlier moments"):
        BaseNode(key="memory").restore(made)
    db.pack()
    with db.connection() as root, pytest.raises(MomentGoneError):
        root["big"].restore(old)


def test_a_pack_keeps_what_is_restored_until_it_is_committed(db):
    made = fill(db, groups=3, leaves=3)
    with db.connection() as root:
        before = picture(root["big"])
        root["big"].delete_tree()
    root = db.open_connection()
    root.get_node("big").restore(made)
    db.pack()
    db.commit()
    db.pack()
    assert db.verify() == []
    assert picture(root["big"]) == before


def test_who_changes_what_another_one_restores_first_makes_it_conflict(db):
    """The first to commit writes into a list of children that the second shares for the first time."""
    made = fill(db, groups=3, leaves=3)
    with db.connection() as root:
        before = picture(root["big"])
        root["big/g0/n0"].attrs["x"] = "so that not all is as it was"
    mine, theirs = db.open_connection("mine"), db.open_connection("theirs")
    mine["big"].restore(made)
    theirs["big/g2/n2"].attrs["x"] = "theirs"
    db.commit("theirs")
    with pytest.raises(ConflictError):
        db.commit("mine")
    mine["big"].restore(made)
    db.commit("mine")
    db.abort("theirs")
    assert picture(theirs["big"]) == before
    theirs["big/g1/n1"].attrs["x"] = "theirs"
    mine["big"].restore(made)
    db.commit("mine")
    with pytest.raises(ConflictError):
        db.commit("theirs")


@pytest.mark.parametrize("how", ["restore", "undo"])
def test_a_moment_that_this_transaction_does_not_see_is_a_conflict(db, how):
    # What it would share was made since, and could not be read.
    with db.connection() as root:
        root.get_data_node("a").write_data(np.arange(3))
    mine, theirs = db.open_connection("mine"), db.open_connection("theirs")
    theirs["a"].write_data(np.arange(5))
    db.commit(theirs)
    bring = mine["a"].restore if how == "restore" else lambda when: db.undo(when, mine)
    with pytest.raises(ConflictError, match="made after this transaction"):
        bring(db.last_commit)
    assert len(mine["a"].read_data()) == 3
    assert not mine._tree.has_changes()
    db.abort(mine)
    bring(db.last_commit)
    assert len(mine["a"].read_data()) == (5 if how == "restore" else 3)


def test_restoring_runs_again_after_a_conflict(db):
    made = fill(db, groups=3, leaves=3)
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            db.run(lambda root, number=number: root["big/g1/n1"].attrs.update(x=number), attempts=100)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(20):
            db.run(lambda root: root["big"].restore(made) and None, attempts=100)
    finally:
        stop.set()
        thread.join()
    with db.at(made) as then, db.connection() as root:
        root["big"].restore(made)
        assert picture(root["big"]) == picture(then["big"])
    assert db.verify() == []


def test_commits_of_another_program_make_all_of_it_be_copied(folder):
    """Its transactions do not say what lies above what they changed."""
    with LOTDB(folder, durability="process") as db:
        made = fill(db, groups=3, leaves=3)
        with db.connection() as root:
            before = picture(root["big"])
            root["big/g1/n1"].attrs["x"] = "new"
        storage = db._storage
        changed = storage.changed_since
        storage.changed_since = lambda tid: type(changed(tid))(changed(tid).stored, None)
        with db.connection() as root:
            root["big"].restore(made)
            root["big/g0/n0"].attrs["x"] = "newer"
            root["big"].restore(made)
        with db.connection() as root:
            assert picture(root["big"]) == before
        assert db.verify() == []
