"""Taking back one commit: all that a commit can change, and what is a conflict."""

import numpy as np
import pytest
from tests.core.moments.pictures import picture

from lotdb import (
    LOTDB,
    ClosedError,
    ConflictError,
    MomentGoneError,
    MomentNotFoundError,
    Plugins,
    ReadOnlyError,
    hookimpl,
)


@pytest.fixture
def before(db):
    """A tree to be changed; its picture."""
    with db.connection() as root:
        for number in range(3):
            node = root.get_data_node(f"a/n{number}", samplerate_hz=100, data_attribute="imu")
            node.write_data(np.arange(10 + number), metadata={"number": number})
            node.attrs.update(x=number, text="long" * 200)
        root.get_data_node("zarr", backend="zarr").write_data(np.arange(50_000.0))
        root.get_node_path("b/c/d").attrs["deep"] = True
        root["a"].branch("branch")
        root.get_node("plain")
        return picture(root)


CHANGES = {
    "set": lambda root: root["a/n1"].attrs.update(x=5, new="value"),
    "unset": lambda root: root["b/c/d"].delete_attribute("deep"),
    "write": lambda root: root["zarr"].write_data(np.zeros(3)),
    "append": lambda root: root["a/n0"].append_data(np.arange(3)),
    "compact": lambda root: root["zarr"].compact_data(backend="blob"),
    "payload": lambda root: root["a/n2"].delete_data("imu"),
    "new payload": lambda root: root["a/n2"].write_data(np.arange(9.0), data_attribute="other"),
    "defaults": lambda root: root["a/n0"].configure_data(samplerate_hz=7, unset="data_attribute"),
    "type": lambda root: root.get_data_node("plain").configure_data(samplerate_hz=3),
    "create": lambda root: root.get_node_path("b/new/deep").attrs.update(x=1),
    "delete": lambda root: root["b"].delete_tree(),
    "delete leaf": lambda root: root["a/n1"].delete_tree(),
    "lift": lambda root: root["b"].delete_node("c", only_node=True),
    "move": lambda root: root["b/c"].move(root["a"], "moved"),
    "move leaf": lambda root: root["a/n1"].move(root["b"]),
    "rename": lambda root: root["a"].rename("z"),
    "branch": lambda root: root["a"].branch("another"),
    "into a branch": lambda root: root["branch/n1"].attrs.update(x=9),
    "replace": lambda root: root.add_tree(root["a"], copy=False, key="b", if_exists="replace"),
    "exchange": lambda root: (root["a"].rename("t"), root["b"].rename("a"), root["t"].rename("b")),
    "root": lambda root: root.attrs.update(name="root"),
}


@pytest.mark.sampled
@pytest.mark.parametrize("what", CHANGES)
def test_each_change_is_taken_back(db, before, what):
    with db.connection(note=what) as root:
        CHANGES[what](root)
        changed = picture(root)
    commit = db.last_commit
    with db.connection() as root:
        root.get_node("later").attrs["x"] = 1
    with db.connection(note="undo") as root:
        db.undo(commit, root)
        assert picture(root["later"])[1] == {"x": "1"}
        root["later"].delete_tree()
        assert picture(root) == before
    with db.connection() as root:
        assert picture(root) == before
    undo = db.last_commit
    assert db.verify() == []
    root = db.open_connection()
    db.undo(undo)  # which brings it back, with the later node
    root["later"].delete_tree()
    assert picture(root) == changed
    db.commit()
    assert db.verify() == []
    db.pack()
    assert picture(root) == changed
    assert db.verify() == []


LATER = {
    "set": ("a/n1", lambda root: root["a/n1"].attrs.update(x=6)),
    "append": ("a/n0", lambda root: root["a/n0"].write_data(np.zeros(2))),
    "create": ("b/new", lambda root: root["b/new/deep"].attrs.update(x=2)),
    "delete": ("b", lambda root: root.get_node("b")),
    "delete leaf": ("a/n1", lambda root: root["a"].delete_tree()),
    "move": ("a/moved", lambda root: root["a/moved"].rename("again")),
    "type": ("plain", lambda root: root["plain"].delete_tree()),
    "branch": ("another", lambda root: root["another/n1"].attrs.update(x=3)),
}


@pytest.mark.crossed
@pytest.mark.parametrize("what", LATER)
@pytest.mark.parametrize("committed", [True, False])
def test_what_was_changed_later_is_a_conflict_that_names_the_node(db, before, what, committed):
    with db.connection() as root:
        CHANGES[what](root)
    commit = db.last_commit
    path, later = LATER[what]
    with db.connection() as root:
        later(root)
        if committed:
            db.commit(root)
        seen = picture(root)
        with pytest.raises(ConflictError, match=f"'{path}'.*nothing was changed"):
            db.undo(commit, root)
        assert picture(root) == seen


def test_other_changes_of_the_same_node_stay(db, before):
    with db.connection() as root:
        root["a/n1"].attrs["x"] = 5
    commit = db.last_commit
    with db.connection() as root:
        root["a/n1"].attrs["y"] = 6
        root["a/n1"].append_data(np.arange(3))
        root["a"].get_node("more")
    with db.connection() as root:
        db.undo(commit, root)
        assert (root["a/n1"].attrs["x"], root["a/n1"].attrs["y"]) == (1, 6)
        assert len(root["a/n1"].read_data()) == 14
        assert "a/more" in root


def test_no_data_are_copied(db, folder):
    def size():
        return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())

    with db.connection() as root:
        root.get_data_node("a/b/c").write_data(np.arange(200_000))
        root.get_data_node("a/b/d", backend="zarr").write_data(np.arange(200_000))
    with db.connection() as root:
        root["a"].delete_tree()
    grown = size()
    with db.connection() as root:
        db.undo(db.last_commit, root)
    assert size() - grown < 2000
    with db.connection() as root:
        for key in "cd":
            assert root[f"a/b/{key}"].read_data()[-1] == 199_999


def test_undoing_is_part_of_the_transaction(db, before):
    with db.connection() as root:
        root["b"].delete_tree()
    commit = db.last_commit
    root = db.open_connection()
    root.get_node("mine")
    db.undo(commit)
    db.abort()
    assert "b" not in root
    point = db.savepoint()
    db.undo(commit)
    point.rollback()
    assert "b" not in root
    db.undo(commit)
    db.pack()  # what comes back is kept
    db.commit()
    db.pack()
    assert picture(root) == before
    assert db.verify() == []


def test_two_who_change_the_same_place_conflict(db, before):
    with db.connection() as root:
        root["a/n1"].attrs["x"] = 5
    commit = db.last_commit
    mine, theirs = db.open_connection("mine"), db.open_connection("theirs")
    db.undo(commit, mine)
    theirs["a/n1"].attrs["x"] = 6
    db.commit("theirs")
    with pytest.raises(ConflictError):
        db.commit("mine")
    with pytest.raises(ConflictError, match="a/n1"):
        db.undo(commit, mine)


def test_what_cannot_be_undone_is_said(db, folder, before):
    first = list(db.history())[-1]
    db.open_connection()
    with pytest.raises(MomentNotFoundError):
        db.undo(first)
    with pytest.raises(MomentNotFoundError):
        db.undo("nothing")
    with pytest.raises(ClosedError):
        db.undo(first, "not open")
    db.close_connection()
    db.pack()
    db.open_connection()
    with pytest.raises(MomentGoneError):
        db.undo(db.last_commit)
    with LOTDB(folder, read_only=True) as reader, reader.connection() as root, pytest.raises(ReadOnlyError):
        reader.undo(reader.last_commit, root)


def test_listeners_hear_of_it(folder):
    heard = []

    class Listener:
        @hookimpl
        def lotdb_committed(self, database, changes):
            heard.append([(each.kind, each.path, each.name) for each in changes])

    listening = Plugins()
    listening.register(Listener())
    with LOTDB(folder, durability="process", plugins=listening) as db:
        with db.connection() as root:
            root.get_node_path("a/b").attrs["x"] = 1
            root.get_node("c").get_node("d")
        with db.connection() as root:
            root["a/b"].attrs["x"] = 2
            root["c"].delete_tree()
        with db.connection() as root:
            db.undo(db.last_commit, root)
    assert heard[-1] == [("attribute_set", "a/b", "x"), ("added", "c", None)]
