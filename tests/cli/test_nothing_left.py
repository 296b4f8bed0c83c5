"""A command that fails leaves no empty database behind; one that was there before stays as it was."""

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode, DatabaseExistsError, FileSystemError
from lotdb_ingest.__main__ import main as lotdb_ingest

NPY = "{take}.npy"
# How many moments lie between two that are tried.
STEP = 9

# A file that is opened when the signal comes is closed by its destructor, which complains.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of one damaged file, an export with a damaged payload, and a damaged HDF5 file."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("bad")
    Path("bad/empty.npy").touch()
    node = BaseNode("root")
    for number in range(3):
        node.get_data_node(f"n{number}").write_data(np.arange(1000.0) + number)
    node.export("exported")
    damaged = max(Path("exported").rglob("*.npy"))
    damaged.write_bytes(damaged.read_bytes()[:-100] + bytes(100))
    Path("damaged.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    return tmp_path


FAILING = {
    "each file fails": ["bad", NPY],
    "the first file ends it": ["bad", NPY, "--stop-on-error"],
    "below a node": ["bad", NPY, "--stop-on-error", "--at", "a/b"],
    "each file fails below a node": ["bad", NPY, "--at", "a/b"],
    "an export that is damaged": ["exported"],
    "an export below a node": ["exported", "--at", "a/b"],
    "an HDF5 file that is damaged": ["damaged.h5"],
}


def names(folder):
    return sorted(os.path.relpath(os.path.join(top, name), folder)
                  for top, folders, files in os.walk(folder) for name in folders + files)  # fmt: skip


@pytest.mark.sampled(5)
@pytest.mark.parametrize("arguments", FAILING.values(), ids=FAILING)
@pytest.mark.parametrize("place", ["new", "deep/down/new"])
def test_an_ingest_that_fails_leaves_nothing(folder, lotdb, arguments, place):
    before = names(folder)
    code, _, _ = lotdb("ingest", place, *arguments)
    assert code == 1
    assert names(folder) == before


@pytest.mark.parametrize("arguments", [each for each in FAILING.values() if each[0] == "bad"])
def test_so_does_the_small_command(folder, capsys, arguments):
    before = names(folder)
    assert lotdb_ingest(["new", *arguments]) != 0
    assert names(folder) == before


def test_a_folder_that_was_there_and_what_was_in_it_stay(folder, lotdb):
    os.mkdir("new")
    Path("new/lotdb.fs.notes.txt").write_text("mine")
    with LOTDB("new", "lotdb.fs.2") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(5.0))
    before = names(folder)
    for arguments in FAILING.values():
        assert lotdb("ingest", "new", *arguments)[0] == 1
        assert names(folder) == before
    with LOTDB("new", "lotdb.fs.2", read_only=True) as db, db.connection() as root:
        assert root["a"].read_data().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("content", ["a node", "nothing"])
def test_a_database_that_was_there_stays(folder, lotdb, content):
    with LOTDB("new") as db, db.connection() as root:
        if content == "a node":
            root.get_data_node("a").write_data(np.arange(5.0))
        first = db.last_commit
    for arguments in FAILING.values():
        assert lotdb("ingest", "new", *arguments)[0] == 1
        assert lotdb_ingest(["new", "bad", NPY, "--stop-on-error"]) == 2
    with LOTDB("new", read_only=True) as db, db.connection() as root:
        assert any(commit.id == first for commit in db.history())
        assert root.find("**").count() == 1 + (content == "a node")
        assert ("a" in root) == (content == "a node")
        assert db.verify() == []


@pytest.mark.parametrize("at", ["a/b", "c/d/e", "a"])
def test_below_a_node_what_comes_in_stays(folder, lotdb, at):
    np.save("bad/good.npy", np.arange(5.0))
    with LOTDB("new") as db, db.connection() as root:
        root.get_node("a")
    assert lotdb("ingest", "new", "bad", NPY, "--at", at)[0] == 1
    with LOTDB("new", read_only=True) as db, db.connection() as root:
        assert root[f"{at}/good"].read_data().tolist() == [0, 1, 2, 3, 4]


def test_what_was_committed_before_stays(folder, lotdb):
    for number in range(3):
        np.save(f"bad/a{number}.npy", np.arange(5.0))
    code, _, _ = lotdb("ingest", "new", "bad", NPY, "--stop-on-error", "--batch-size", "1")
    assert code == 1
    with LOTDB("new", read_only=True) as db, db.connection() as root:
        assert list(root) == ["a0", "a1", "a2"]


def test_ctrl_c_before_anything_is_committed_leaves_nothing(folder, lotdb):
    """At each moment at which a file of the new database is opened, made, renamed or removed."""
    np.save("bad/a.npy", np.arange(5.0))
    os.remove("bad/empty.npy")
    before = names(folder)
    wanted, seen, is_on = 0, 0, False

    def look(event, args):
        nonlocal seen, is_on
        if is_on and event in ("open", "os.rename", "os.mkdir", "os.remove") and "new" in str(args[0]):
            seen += 1
            if seen == wanted:
                is_on = False
                signal.raise_signal(signal.SIGINT)

    sys.addaudithook(look)
    codes = []
    wanted = 1 - STEP
    while not os.path.lexists("new"):
        wanted += STEP
        seen, is_on = 0, True
        code, _, _ = lotdb("ingest", "new", "bad", NPY)
        is_on = False
        codes.append(code)
        if os.path.lexists("new"):
            with LOTDB("new", read_only=True) as db, db.connection() as root:
                assert list(root) == ["a"]
            continue
        assert code == 130
        assert names(folder) == before
    assert len(codes) > 1


def test_a_program_discards_what_it_has_made(tmp_path):
    folder = tmp_path / "new"
    db = LOTDB(folder)
    root = db.open_connection()
    root.get_data_node("a").write_data(np.zeros(100_000))
    root.get_data_node("b").write_data(np.zeros(1000), backend="zarr")
    assert db.discard()
    assert db.closed
    assert not db.discard()
    assert os.listdir(tmp_path) == []
    with LOTDB(folder, new=True) as db:
        db.run(lambda root: root.get_node("empty"))
        assert db.discard()
    with LOTDB(folder, new=True) as db:
        db.run(lambda root: root.attrs.update(kept=1))
        db.run(lambda root: root.attrs.clear())  # what was once there can be looked at
        assert not db.discard()
    with LOTDB(folder) as db:
        assert not db.discard()
    with LOTDB(folder, read_only=True) as db:
        assert [len(list(root.attrs)) for root in moments(db)] == [0, 1, 0]
        assert not db.discard()
    with pytest.raises(DatabaseExistsError):
        LOTDB(folder, new=True)


def moments(db):
    for commit in db.history():
        with db.at(commit) as root:
            yield root


def test_an_empty_database_that_was_there_stays(tmp_path):
    LOTDB(tmp_path / "db").close()
    with LOTDB(tmp_path / "db") as db:
        assert not db.discard()
    LOTDB(tmp_path / "db", read_only=True).close()


def test_a_reader_of_what_is_discarded_is_not_in_the_way(tmp_path):
    with LOTDB(tmp_path / "new") as db, LOTDB(tmp_path / "new", read_only=True) as reader:
        with reader.connection() as root:
            assert list(root) == []
        assert db.discard()
        assert os.listdir(tmp_path) == []
    with LOTDB(tmp_path / "new", new=True) as db:
        db.run(lambda root: root.get_node("later"))


def test_a_disk_that_is_full_at_the_first_commit(folder, lotdb, monkeypatch):
    np.save("bad/a.npy", np.arange(5.0))
    os.remove("bad/empty.npy")
    before = names(folder)

    def full(self, note="", **options):
        if not self.changed:
            return None
        raise FileSystemError(28, "nothing was committed: No space left on device", "new")

    with monkeypatch.context() as patch:
        patch.setattr("lotdb.database.session.Session.commit", full)
        code, _, err = lotdb("ingest", "new", "bad", NPY, "--stop-on-error")
    assert code == 1
    assert "No space left" in err
    assert names(folder) == before


@pytest.mark.sampled(2)
@pytest.mark.parametrize("command", ["restore", "salvage", "convert", "backup"])
def test_ctrl_c_in_a_command_that_makes_a_database(tmp_path, database, lotdb, command):
    """At some of the moments at which a file is opened, made, renamed or removed."""
    above = tmp_path / "below"
    os.mkdir(above)
    new = above / "new"
    wanted = seen = 0
    is_on = False

    def look(event, args):
        nonlocal seen, is_on
        if is_on and event in ("open", "os.rename", "os.mkdir", "os.remove") and "below" in str(args[0]):
            seen += 1
            if seen == wanted:
                is_on = False
                signal.raise_signal(signal.SIGINT)

    sys.addaudithook(look)  # for good; it does nothing once it is off
    with LOTDB(database, read_only=True) as db, db.connection() as root:
        nodes = root.find("**").count()
    wanted = 1
    ended = []
    while True:
        seen, is_on = 0, True
        code, _, err = lotdb(command, database, new)
        was_struck, is_on = not is_on, False
        ended.append(code)
        left = os.listdir(above)
        if code == 130 and command == "backup" and left == ["new"]:  # it goes on where it was
            code, _, err = lotdb(command, database, new)
        if code == 130 and left == []:
            wanted += STEP
            continue
        assert left == ["new"]  # if it was struck in its last steps: and all of it
        assert (code, err) == (0, "") or code == 130
        with LOTDB(new, read_only=True) as db, db.connection() as root:
            assert db.verify() == []
            assert root.find("**").count() == nodes
        if not was_struck:
            break
        shutil.rmtree(new)
        wanted += STEP
    assert 130 in ended
    assert os.listdir(above) == ["new"]
