"""What the system cannot do is said as that, with its number, and never as damage."""

import errno
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from torture.small_disk import fill_disk, give_back, take_inodes

from lotdb import LOTDB, BaseNode, FileSystemError, IngestError

# Each use of a database with so many descriptors left: it works, or says what happened.
SCRIPT = """
import os, resource, sys, warnings
import numpy as np
from lotdb import LOTDB, LotdbError
left = int(sys.argv[2])
warnings.simplefilter("ignore")

def limited(use):
    free = os.open("/dev/null", os.O_RDONLY); os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + left, 4096))
    try:
        use()
    except LotdbError as error:
        assert isinstance(error, OSError) and error.errno == 24, repr(error)
        assert error.filename, repr(error)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))

def everything(path=sys.argv[1]):
    with LOTDB(path) as db:
        assert db.verify() == []
        with db.connection() as root:
            root.get_data_node("new").write_data(np.arange(9.0))
            root.get_data_node("zarr").write_data(np.arange(9.0), backend="zarr")
        db.pack()

everything(sys.argv[1] + "_first")  # which imports what it takes
limited(everything)
with LOTDB(sys.argv[1]) as db:
    assert db.verify() == []
    with db.connection() as root:
        for key in "ab":
            np.testing.assert_array_equal(root[key].read_data(), np.arange(5.0))
    def use():
        assert db.verify() == []
        with db.connection() as root:
            root.get_data_node("new").write_data(np.arange(9.0))
    limited(use)
    db.pack()
    assert db.verify() == []
"""


@pytest.mark.parametrize(
    "left", [0, *(pytest.param(left, marks=pytest.mark.slow) for left in (1, 2, 3, 5, 8))]
)
def test_too_many_open_files_is_what_is_said(tmp_path, left):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(5.0))
        root.get_data_node("b").write_data(np.arange(5.0), backend="zarr")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / "db"), str(left)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE, errno.ENOSPC])
def test_an_error_of_the_system_is_no_damage(tmp_path, monkeypatch, code):
    with LOTDB(tmp_path) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(300_000.0))
        real = os.open

        def fail(path, *args, **kwargs):
            if str(path).endswith(".blob"):
                raise OSError(code, os.strerror(code), path)
            return real(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", fail)
        with db.connection() as root:
            with pytest.raises(FileSystemError, match=os.strerror(code)) as caught:
                root["a"].read_data()
            assert caught.value.errno == code
            assert str(caught.value.filename).endswith(".blob")
        if code == errno.EIO:  # of this file, and nothing that keeps the others from being read
            with pytest.warns(RuntimeWarning, match="payload 'data' of 'a' was not verified.*Input/output"):
                assert db.verify() == []
        else:
            with pytest.raises(FileSystemError, match="was not verified"):
                db.verify()
        monkeypatch.undo()
        assert db.verify() == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_a_file_that_cannot_be_taken_in_now_is_no_bad_file(tmp_path, monkeypatch, number):
    np.save(tmp_path / "a.npy", np.arange(10))
    node = BaseNode().get_data_node("a")
    real = os.open

    def fail(path, *more, **how):
        if str(path).endswith("a.npy"):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *more, **how)

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(FileSystemError) as caught:
        node.attach_file(tmp_path / "a.npy")
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / "a.npy"))
    assert isinstance(caught.value, IngestError), "as whoever takes in a folder expects"
    assert not node.has_data()
    monkeypatch.undo()
    node.attach_file(tmp_path / "a.npy")
    assert node.read_data().sum() == 45


def test_an_export_to_a_full_disk_says_so_and_leaves_nothing(tmp_path, monkeypatch):
    node = BaseNode().get_data_node("a")
    node.write_data(np.arange(10))

    def full(*args, **how):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileSystemError, match="cannot export payload 'data' of node 'a': No space") as caught:
        node.get_data().export(tmp_path / "a.npy")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a.npy"))
    assert list(tmp_path.iterdir()) == []


# Every nth call fails; 1 lets each of them fail, and takes minutes.
STEP = int(os.environ.get("LOTDB_TEST_FAULT_STEP", "43"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it finds files by their descriptors in /proc")
def test_whichever_call_fails_is_said_and_harms_nothing(tmp_path):
    uses = ["open", "create", "write", "append", "savepoint", "abort", "read", "verify", "pack", "refresh"]
    done = subprocess.run(
        [
            sys.executable,
            os.path.join(os.path.dirname(__file__), "faults_worker.py"),
            tmp_path,
            str(STEP),
            *uses,
        ],
        capture_output=True,
        text=True,
        timeout=1000,
    )
    assert done.returncode == 0, done.stderr


FULL = {"space": ("size=3m", fill_disk, 4096), "inodes": ("size=3m,nr_inodes=200", take_inodes, 1)}


@pytest.mark.parametrize("lacking", FULL)
def test_a_database_can_be_made_once_there_is_room(small_disk, lacking):
    options, take, unit = FULL[lacking]
    for level in range(5):
        folder = small_disk(options)
        take(folder, level * unit)
        with pytest.raises(FileSystemError) as caught:
            LOTDB(folder / "db")
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename
        give_back(folder)
        with LOTDB(folder / "db", new=level == 0 and lacking == "inodes") as db, db.connection() as root:
            root.attrs["v"] = 1  # while the error is still kept


@pytest.mark.crossed
@pytest.mark.parametrize("lacking", FULL)
@pytest.mark.parametrize("use", ["commit", "savepoint", "pack"])
def test_a_full_disk_is_said_and_nothing_is_lost(small_disk, lacking, use, monkeypatch):
    options, take, unit = FULL[lacking]
    folder = small_disk(options)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    rows = np.random.default_rng(0).random(20_000)
    with LOTDB(folder / "db") as db:
        for _ in range(2):
            with db.connection() as root:
                for backend in ("blob", "zarr"):
                    root.get_data_node(backend).write_data(rows, backend=backend)
                for number in range(100):
                    root.get_node(str(number)).attrs["v"] = "x" * 200
    failed = 0
    for level in (0, 1, 2, 4, 9, 30):
        take(folder, level * unit)
        kept = None
        try:
            with LOTDB(folder / "db") as db:
                root = db.open_connection()
                if use == "pack":
                    db.pack()
                for backend in ("blob", "zarr"):
                    root[backend].write_data(rows)
                for number in range(300):
                    root.get_node(f"{level} {number}").attrs["v"] = "y" * 200
                if use == "savepoint":
                    db.savepoint()
                    root[f"{level} 0"].attrs["v"] = "z"
                db.commit()
        except FileSystemError as error:
            kept = error
            failed += 1
        assert kept is None or (kept.errno == errno.ENOSPC and kept.filename), repr(kept)
        give_back(folder)
        with LOTDB(folder / "db") as db:
            assert db.verify() == []
            with db.connection() as root:
                assert (f"{level} 299" in root) == (kept is None)
                for backend in ("blob", "zarr"):
                    np.testing.assert_array_equal(root[backend].read_data(), rows)
                assert root["99"].attrs["v"] == "x" * 200
                root.attrs["level"] = level
    assert failed
