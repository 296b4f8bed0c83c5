"""Readers see the state in which their transaction began, whatever others commit."""

import sys
import threading

import numpy as np
from tests.core.transactions.two_connections import LARGE, NEW, OLD, files, fill


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
