"""What a kill, a full disk or a moved folder leaves behind.

Run as a script, this file is the other process: it reads jobs from its standard input, one JSON list a line,
and runs each in a forked child, which so has everything imported already.
"""

import contextlib
import errno
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
from tests.services import forked

from lotdb import LOTDB
from lotdb.segments.stage import Stage

npy_backend = runpy.run_path(str(Path(__file__).with_name("npy_backend.py")))
plugins_with, NpyBackend = npy_backend["plugins_with"], npy_backend["NpyBackend"]
FullDiskBackend = npy_backend["FullDiskBackend"]

SEED = os.environ.get("LOTDB_SEED")

OLD, NEW = np.arange(6.0), np.arange(60.0) + 100
LARGE = np.arange(200_000.0)  # so large that it is written at once, not at the commit


def open_database(folder, backend="blob", **options):
    """With small arrays in files, or, as the backend "records", in records of the tree."""
    if backend == "records":
        backend = "blob"
    elif backend == "blob":
        options["backends"] = {"blob": {"record_bytes": 0}}
    return LOTDB(folder, plugins=plugins_with(NpyBackend), default_backend=backend, **options)


def segment_files(folder):
    return sorted(Path(folder).glob("lotdb.fs.npy/*.npy"))


def staged_blobs(folder):
    return sorted(path for path in Path(folder).glob("lotdb.fs.blobs/tmp/**/*") if path.is_file())


# -- the changes that are made until the kill -----------------------------------------------------

# The model of a database: the number of transactions; and by group, by leaf: the label and the rows.


def change(number, seed, model, root=None):
    """Transaction *number*, on the model and, if *root* is given, on the tree."""
    rng = random.Random(f"{seed} {number}")
    groups = model["groups"]
    for _ in range(rng.randint(1, 4)):
        group, leaf = rng.choice("abcd"), rng.choice("xyz")
        rows = np.arange(rng.choice([1, 3, 50, 500, 150_000]), dtype=float) + number
        what = rng.choice(["write", "write", "append", "append", "branch", "delete", "clear", "label"])
        there = group in groups and leaf in groups[group]
        if what == "write" or (what == "append" and not there):
            groups.setdefault(group, {})[leaf] = [groups.get(group, {}).get(leaf, [None])[0], rows]
            if root is not None:
                root.get_data_node([group, leaf]).write_data(rows)
        elif what == "append":
            label, old = groups[group][leaf]
            groups[group][leaf] = [label, rows if old is None else np.concatenate([old, rows])]
            if root is not None:
                root.get_data_node([group, leaf]).append_data(rows)
        elif what == "branch" and group in groups:
            other = rng.choice("abcd")
            if other != group:
                groups[other] = {key: list(value) for key, value in groups[group].items()}
                if root is not None:
                    root.add_tree(root[group], key=other, copy=True, if_exists="replace")
        elif what == "delete" and group in groups:
            del groups[group]
            if root is not None:
                del root[group]
        elif what == "clear" and there and groups[group][leaf][1] is not None:
            groups[group][leaf][1] = None
            if root is not None:
                root[group][leaf].delete_data()
        elif what == "label" and there:
            groups[group][leaf][0] = number
            if root is not None:
                root[group][leaf].set_attribute("label", number)
    model["number"] = number
    if root is not None:
        root.set_attribute("number", number)


def model_after(number, seed):
    model = {"number": 0, "groups": {}}
    for each in range(1, number + 1):
        change(each, seed, model)
    return model


def state_of_model(model):
    return model["number"], {
        f"{group}/{leaf}": (label, None if rows is None else rows.tobytes())
        for group, leaves in model["groups"].items()
        for leaf, (label, rows) in leaves.items()
    }


def state_of_tree(root):
    return root.get_attribute("number", 0), {
        leaf.path: (leaf.get_attribute("label"), leaf.read_data().tobytes() if leaf.has_data() else None)
        for leaf in root.iterate_tree_level(2)
    }


# -- the other process ----------------------------------------------------------------------------


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def commit_until_killed(folder, backend, seed, number):
    model = model_after(number, seed)
    db = open_database(folder, backend)
    root = db.open_connection()
    while True:
        number += 1
        change(number, seed, model, root)
        db.commit()
        say(number)
        if number % 7 == 0:
            db.pack()


def stage_and_wait(folder, backend):
    db = open_database(folder, backend)
    root = db.open_connection()
    root.get_data_node("a").replace_data(LARGE)
    root.get_data_node("new").write_data(NEW)
    root.set_attribute("label", "new")
    db.savepoint()
    say("staged")
    time.sleep(60)


def die_in_commit(folder, backend, step, when):
    """Be killed before or after a step of the commit of a payload and an attribute."""
    method = getattr(Stage, step)

    def deadly(*args):
        if when == "after":
            method(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    db = open_database(folder, backend)
    root = db.open_connection()
    root["a"].replace_data(NEW)
    root.set_attribute("label", "new")
    setattr(Stage, step, deadly)
    db.commit()


def serve():
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            say("pid", os.getpid())
            try:
                globals()[name](*arguments)
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        say("end", "killed" if os.WIFSIGNALED(os.waitpid(child, 0)[1]) else "failed")


class OtherProcess:
    def __init__(self):
        self.process = forked.Popen(
            ["-W", "ignore", __file__],
            env={**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def start(self, function, folder, *arguments):
        """Begin a job; the id of the process that does it."""
        self.process.stdin.write(json.dumps([function.__name__, str(folder), *arguments]) + "\n")
        word, pid = self.line()
        assert word == "pid"
        return int(pid)

    def line(self):
        line = self.process.stdout.readline()
        assert line, "the other process ended"
        return line.split()

    def words_to_the_end(self):
        """What the job has said until it was killed."""
        words = []
        while (line := self.line())[0] != "end":
            words.append(line[0])
        assert line[1] == "killed"
        return words

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture(scope="module")
def other():
    process = OtherProcess()
    yield process
    process.close()


# -- killed at random moments ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "kills", "seed"),
    [
        ("records", 8, 1),
        ("blob", 5, 1),
        ("npy", 5, 1),
        # Others each time; a failure prints how to repeat it.
        *(pytest.param(name, 30, None, marks=pytest.mark.slow) for name in ("records", "blob", "npy")),
    ],
)
def test_a_kill_at_any_moment_leaves_the_last_acknowledged_commit(tmp_path, other, backend, kills, seed):
    seed = int(SEED) if SEED else seed or random.SystemRandom().randrange(1_000_000)
    print(f"LOTDB_SEED={seed}")
    rng = random.Random(seed)
    folder = tmp_path / "data"
    number = 0
    for _ in range(kills):
        pid = other.start(commit_until_killed, folder, backend, seed, number)
        acknowledged = [other.line()[0] for _ in range(rng.randint(0, 8))]
        time.sleep(rng.choice([0.002, 0.01, 0.05]) * rng.random())
        os.kill(pid, signal.SIGKILL)
        acknowledged += other.words_to_the_end()
        last = int(acknowledged[-1]) if acknowledged else number
        with open_database(folder, backend) as db:
            found = db.run(state_of_tree)
            assert found[0] in (last, last + 1)
            number = found[0]
            assert found == state_of_model(model_after(number, seed))
            assert db.verify() == []
            if rng.random() < 0.5:
                db.pack()
                assert db.run(state_of_tree) == found
                assert db.verify() == []
    assert number > kills  # else it was killed too early each time, and nothing was tested
    with open_database(folder, backend) as db:
        db.run(lambda root: [root.delete_node(key) for key in list(root)])
        db.pack()
    assert segment_files(folder) == []
    assert staged_blobs(folder) == []


# -- killed between staging and commit ------------------------------------------------------------


@pytest.fixture(params=["records", "blob", "npy"])
def backend(request):
    return request.param


@pytest.fixture
def folder(tmp_path, backend):
    """A database with the payload OLD at a."""
    with open_database(tmp_path / "data", backend) as db, db.connection() as root:
        root.get_data_node("a").write_data(OLD)
        root.set_attribute("label", "old")
    return tmp_path / "data"


def state(db):
    with db.connection() as root:
        return list(root), root.get_attribute("label"), root["a"].read_data().tolist()


def test_a_kill_between_staging_and_commit_leaves_the_last_commit_and_pack_reclaims_the_rest(
    folder, other, backend
):
    before = segment_files(folder)
    pid = other.start(stage_and_wait, folder, backend)
    assert other.line()[0] == "staged"
    assert len(segment_files(folder)) - len(before) == (2 if backend == "npy" else 0)
    assert len(staged_blobs(folder)) == {"records": 1, "blob": 2, "npy": 0}[backend]
    os.kill(pid, signal.SIGKILL)
    other.words_to_the_end()
    with open_database(folder, backend) as db:
        assert state(db) == (["a"], "old", OLD.tolist())
        assert db.verify() == []
        db.pack()
        assert state(db) == (["a"], "old", OLD.tolist())
        assert db.verify() == []
    assert segment_files(folder) == before
    assert staged_blobs(folder) == []


@pytest.mark.crossed
@pytest.mark.parametrize(
    ("step", "when", "committed"),
    [
        ("flush", "before", False),
        ("flush", "after", False),
        ("tpc_begin", "before", False),
        ("commit", "after", False),
        ("tpc_vote", "before", False),
        ("tpc_vote", "after", False),
        ("tpc_finish", "before", True),  # it comes after that of the data file, which is the commit point
        ("tpc_finish", "after", True),
    ],
)
def test_a_kill_at_a_step_of_the_commit_leaves_all_or_nothing(folder, other, backend, step, when, committed):
    other.start(die_in_commit, folder, backend, step, when)
    other.words_to_the_end()
    expected = (["a"], "new", NEW.tolist()) if committed else (["a"], "old", OLD.tolist())
    for _ in range(2):
        with open_database(folder, backend) as db:
            assert state(db) == expected
            assert db.verify() == []
            db.pack()
            assert state(db) == expected
            assert db.verify() == []


@pytest.mark.crossed
@pytest.mark.parametrize(
    ("step", "when"),
    [("flush", "before"), ("flush", "after"), ("tpc_vote", "before"), ("tpc_vote", "after")],
)
def test_pack_reclaims_what_a_commit_left_that_was_killed(folder, other, backend, step, when):
    other.start(die_in_commit, folder, backend, step, when)
    other.words_to_the_end()
    with open_database(folder, backend) as db:
        db.pack()
    assert len([*segment_files(folder), *folder.rglob("*.blob")]) == (backend != "records")
    assert staged_blobs(folder) == []


# -- what is swept --------------------------------------------------------------------------------


@pytest.fixture
def db(tmp_path):
    with open_database(tmp_path / "data", "npy") as db:
        yield db


@pytest.fixture
def root(db):
    return db.open_connection()


def count(db):
    return len(segment_files(db.path))


def test_pack_removes_the_segments_that_nothing_names(db, root):
    node = root.get_data_node("a")
    for number in range(3):
        node.replace_data(LARGE + number)
        db.commit()
    (db.path / "lotdb.fs.npy" / f"seg-{'0' * 32}.npy").write_bytes(b"left over")
    assert count(db) == 4
    db.pack()
    assert count(db) == 1
    np.testing.assert_array_equal(node.read_data(), LARGE + 2)
    assert db.verify() == []


def test_pack_leaves_files_that_are_no_segments(db, root):
    root.get_data_node("a").write_data(OLD)
    db.commit()
    for name in ("notes.txt", "lotdb.fs.nosuch"):
        (db.path / "lotdb.fs.npy" / name).write_bytes(b"mine")
    db.pack()
    assert (db.path / "lotdb.fs.npy" / "notes.txt").read_bytes() == b"mine"
    assert (db.path / "lotdb.fs.npy" / "lotdb.fs.nosuch").read_bytes() == b"mine"


def test_pack_leaves_the_segments_of_a_backend_that_is_not_installed(db, root):
    root.get_data_node("a").write_data(LARGE)
    db.commit()
    db.close()
    with LOTDB(db.path) as without:
        without.pack()
        with pytest.warns(RuntimeWarning, match="'a' was not verified: no backend named 'npy'"):
            assert without.verify() == []
        with without.connection() as root:
            root["a"].rename("b")
            root["b"].branch("c")
            root["b"].delete_tree()
    with open_database(db.path) as again, again.connection() as root:
        np.testing.assert_array_equal(root["c"].read_data(), LARGE)


def test_pack_keeps_a_segment_while_any_copy_or_small_neighbour_uses_it(db, root):
    for key in "abc":
        root.get_data_node(key).write_data(OLD)
    db.commit()
    assert count(db) == 1  # small arrays share a file
    root["a"].branch("copy")
    del root["a"], root["b"], root["c"]
    db.commit()
    db.pack()
    np.testing.assert_array_equal(root["copy"].read_data(), OLD)
    assert count(db) == 1
    del root["copy"]
    db.commit()
    db.pack()
    assert count(db) == 0


def test_abort_deletes_the_segments_that_were_written(db, root):
    root.get_data_node("a").write_data(LARGE)
    root.get_data_node("b").write_data(NEW)
    db.savepoint()
    root.get_data_node("c").append_data(LARGE)
    assert count(db) == 3
    db.abort()
    assert count(db) == 0


def test_rollback_deletes_the_segments_that_were_written_since(db, root):
    root.get_data_node("a").write_data(LARGE)
    savepoint = db.savepoint()
    root.get_data_node("b").write_data(LARGE)
    assert count(db) == 2
    savepoint.rollback()
    assert count(db) == 1
    db.commit()
    assert db.verify() == []


def test_a_segment_that_is_missing_or_altered_is_named(db, root):
    for key in "ab":
        root.get_data_node(key).write_data(LARGE)
    db.commit()
    missing, altered = segment_files(db.path)
    missing.unlink()
    content = bytearray(altered.read_bytes())
    content[len(content) // 2] ^= 1
    altered.write_bytes(content)
    reasons = sorted(damage.reason for damage in db.verify())
    assert len(reasons) == 2
    assert any(missing.name in reason and "missing" in reason for reason in reasons)
    assert any(altered.name in reason and "do not match their checksum" in reason for reason in reasons)


# -- a full disk ----------------------------------------------------------------------------------


@pytest.fixture
def full_disk(tmp_path):
    """A database with OLD at a; from then on the disk is full when `FullDiskBackend.room` is used up."""
    with LOTDB(tmp_path / "data", plugins=plugins_with(FullDiskBackend), default_backend="npy") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(OLD)
            root.set_attribute("label", "old")
        yield db
        FullDiskBackend.room = 1_000_000


@contextlib.contextmanager
def no_space():
    with pytest.raises(OSError, match="No space left") as caught:
        yield
    assert caught.value.errno == errno.ENOSPC


def test_a_write_that_finds_the_disk_full_leaves_node_and_transaction_as_they_were(full_disk):
    root = full_disk.open_connection()
    root.set_attribute("label", "new")
    FullDiskBackend.room = 0
    for write in (root["a"].replace_data, root["a"].append_data):
        with no_space():
            write(LARGE)
    with no_space():
        root["a"].write_data(LARGE, data_attribute="other")
    np.testing.assert_array_equal(root["a"].read_data(), OLD)
    assert not root["a"].has_data("other")
    full_disk.commit()
    assert state(full_disk) == (["a"], "new", OLD.tolist())
    assert count(full_disk) == 1
    assert full_disk.verify() == []


@pytest.mark.parametrize("room", [0, 1])
def test_a_commit_that_finds_the_disk_full_leaves_the_last_one_and_the_next_succeeds(full_disk, room):
    root = full_disk.open_connection()
    root["a"].replace_data(NEW)
    root["a"].write_data(NEW.astype(np.int16), data_attribute="other")  # goes to a file of its own
    root.set_attribute("label", "new")
    FullDiskBackend.room = room
    with no_space():
        full_disk.commit()
    assert state(full_disk) == (["a"], "old", OLD.tolist())
    assert not root["a"].has_data("other")
    assert count(full_disk) == 1
    FullDiskBackend.room = 1_000_000
    root["a"].replace_data(NEW[:3])
    full_disk.commit()
    assert state(full_disk) == (["a"], "old", NEW[:3].tolist())
    assert full_disk.verify() == []


def test_a_savepoint_that_finds_the_disk_full_can_be_tried_again(full_disk):
    root = full_disk.open_connection()
    root["a"].append_data(NEW)
    FullDiskBackend.room = 0
    with no_space():
        full_disk.savepoint()
    FullDiskBackend.room = 1_000_000
    np.testing.assert_array_equal(root["a"].read_data(), np.concatenate([OLD, NEW]))
    full_disk.savepoint()
    full_disk.commit()
    np.testing.assert_array_equal(root["a"].read_data(), np.concatenate([OLD, NEW]))
    assert full_disk.verify() == []


def test_a_small_write_that_finds_the_disk_full_leaves_those_that_share_its_file(full_disk, monkeypatch):
    # A file is written with the second of them.
    monkeypatch.setattr("lotdb.segments.stage.PACK_BYTES", NEW.nbytes + 1)
    root = full_disk.open_connection()
    root["a"].replace_data(NEW)
    FullDiskBackend.room = 0
    with no_space():
        root.get_data_node("b").write_data(NEW + 1)
    FullDiskBackend.room = 1_000_000
    assert not root["b"].has_data()
    np.testing.assert_array_equal(root["a"].read_data(), NEW)
    root["b"].write_data(NEW + 2)
    root["a"].append_data(LARGE)
    full_disk.commit()
    np.testing.assert_array_equal(root["b"].read_data(), NEW + 2)
    np.testing.assert_array_equal(root["a"].read_data(), np.concatenate([NEW, LARGE]))
    assert full_disk.verify() == []


# -- a folder that is moved -----------------------------------------------------------------------


def test_a_folder_that_was_moved_opens_from_another_working_directory(folder, backend, tmp_path, monkeypatch):
    moved = tmp_path / "else where" / "moved"
    moved.parent.mkdir()
    folder.rename(moved)
    for place, path in ((moved.parent, "moved"), (moved, "."), ("/", moved)):
        monkeypatch.chdir(place)
        with open_database(path, backend) as db:
            assert db.verify() == []
            with db.connection() as root:
                root["a"].append_data(NEW)
    with open_database(moved, backend) as db:
        with db.connection() as root:
            np.testing.assert_array_equal(root["a"].read_data(), np.concatenate([OLD, NEW, NEW, NEW]))
        db.pack()
        assert db.verify() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["else where"]


def test_a_relative_path_means_the_place_where_the_database_was_opened(
    folder, backend, tmp_path, monkeypatch
):
    monkeypatch.chdir(folder.parent)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with open_database("data", backend) as db:
        root = db.open_connection()
        monkeypatch.chdir(elsewhere)
        np.testing.assert_array_equal(root["a"].read_data(), OLD)
        root["a"].replace_data(LARGE)
        db.commit()
        db.pack()
        np.testing.assert_array_equal(root["a"].read_data(), LARGE)
    assert list(elsewhere.iterdir()) == []
    with open_database(folder, backend) as db:
        assert db.verify() == []


def test_no_file_of_a_database_names_the_folder_it_was_made_in(folder, tmp_path):
    for path in folder.rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path


if __name__ == "__main__":
    serve()
