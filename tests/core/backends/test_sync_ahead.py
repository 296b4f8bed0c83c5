"""Files of blobs are synced by a thread while the next ones are made; what fails there fails the commit."""

import os
import stat
import threading
from contextlib import suppress

import numpy as np
import pytest

import lotdb_backend_blob.npy_writing as npy_writing
from lotdb import LOTDB, Blocks, FileSystemError

LARGE = np.arange(1 << 20, dtype="f8")  # 8 MiB, synced in eight parts below


class Syncs:
    """Stands in for ``os.fsync``: notes the sizes of large files, and fails where it is told to."""

    def __init__(self):
        self.fsync, self.sizes, self.failing = os.fsync, [], []
        self.lock = threading.Lock()

    def __call__(self, descriptor):
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size < 1 << 20:  # a folder, or the data file
            return self.fsync(descriptor)
        with self.lock:
            self.sizes.append(found.st_size)
            if len(self.sizes) - 1 in self.failing:
                raise OSError(5, "Input/output error")
        return self.fsync(descriptor)


@pytest.fixture
def syncs(monkeypatch):
    monkeypatch.setattr(npy_writing, "AHEAD_BYTES", 1 << 20)
    syncs = Syncs()
    monkeypatch.setattr(os, "fsync", syncs)
    return syncs


@pytest.fixture(params=["in blobs", "in files"])
def backends(request, tmp_path):
    return {} if request.param == "in blobs" else {"blob": {"store": str(tmp_path / "arrays")}}


def syncing():
    return [each for each in threading.enumerate() if each.name == "lotdb-sync"]


def test_a_large_file_is_synced_while_it_is_written_and_once_it_is_whole(tmp_path, syncs, backends):
    with LOTDB(tmp_path / "db", backends=backends) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(LARGE)
        assert len(syncs.sizes) > 1
        assert syncs.sizes == sorted(syncs.sizes)
        assert syncs.sizes[-1] > LARGE.nbytes
        assert not syncing()
        with db.connection() as root:
            assert np.array_equal(root["a"].read_data(), LARGE)


@pytest.mark.parametrize("failing", ["first", "last"])
def test_a_sync_that_fails_is_not_covered_up_by_those_that_follow(tmp_path, syncs, backends, failing):
    with LOTDB(tmp_path / "db", backends=backends) as db:
        root = db.open_connection()
        root.get_data_node("before").write_data(LARGE)
        db.commit()
        # The disk fails once, and the system says so once.
        syncs.failing = [len(syncs.sizes)] if failing == "first" else range(len(syncs.sizes) + 1, 99)
        with pytest.raises(FileSystemError, match="Input/output"):
            root.get_data_node("a").write_data(LARGE)
            db.commit()
        with suppress(FileSystemError):  # an abort is what it takes
            db.abort()
        syncs.failing = []
        assert list(root) == ["before"]
        root.get_data_node("b").write_data(LARGE + 1)
        db.commit()
    with LOTDB(tmp_path / "db", backends=backends) as db:
        with db.connection() as root:
            assert list(root) == ["b", "before"]
            assert np.array_equal(root["b"].read_data(), LARGE + 1)
        assert db.verify() == []
    assert not syncing()


def test_where_no_thread_can_be_started_it_is_synced_all_the_same(tmp_path, syncs, backends, monkeypatch):
    with LOTDB(tmp_path / "db", backends=backends) as db:
        with db.connection() as root:
            root.get_data_node("first").write_data([0.0])  # loads what there is to load

        def start(thread):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched, db.connection() as root:
            patched.setattr(threading.Thread, "start", start)
            root.get_data_node("a").write_data(LARGE)
        assert syncs.sizes[-1] > LARGE.nbytes
        with db.connection() as root:
            assert np.array_equal(root["a"].read_data(), LARGE)


def test_ctrl_c_in_a_sync_without_a_thread_is_no_failure_of_the_disk(tmp_path, syncs, backends, monkeypatch):
    with LOTDB(tmp_path / "db", backends=backends) as db:
        root = db.open_connection()
        root.get_data_node("a").write_data([0.0])
        db.commit()

        def start(thread):
            raise RuntimeError("can't start new thread")

        def interrupted(descriptor):
            if os.fstat(descriptor).st_size < 1 << 20:
                return syncs.fsync(descriptor)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            patched.setattr(os, "fsync", interrupted)
            with pytest.raises(KeyboardInterrupt):
                root.get_data_node("a").write_data(LARGE)
        root.get_data_node("b").write_data(LARGE)
        db.commit()
        assert root["a"].read_data().tolist() == [0.0]
        assert db.verify() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove a file that is open")
def test_an_abort_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    fsync, may_go_on = os.fsync, threading.Event()

    def slow(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.fstat(descriptor).st_size > 1 << 20:
            assert may_go_on.wait(50)
        return fsync(descriptor)

    with LOTDB(tmp_path / "db") as db:
        root = db.open_connection()
        root.get_data_node("first").write_data([0.0])
        db.commit()
        monkeypatch.setattr(os, "fsync", slow)
        try:
            root.get_data_node("a").write_data(LARGE)
            db.abort()
            assert syncing()
        finally:
            may_go_on.set()
        for thread in syncing():
            thread.join()
        assert list(root) == ["first"]
        assert not list(tmp_path.glob("db/lotdb.fs.blobs/tmp/BUC*"))


def test_rows_that_end_in_an_error_leave_no_thread_and_no_file_open(tmp_path, syncs, backends):
    def blocks():
        yield LARGE[: len(LARGE) // 2]
        raise ZeroDivisionError

    with LOTDB(tmp_path / "db", backends=backends) as db:
        root = db.open_connection()
        with pytest.raises(ZeroDivisionError):
            root.get_data_node("a").write_data(Blocks(blocks(), dtype=LARGE.dtype, rows=len(LARGE)))
        assert syncs.sizes
        assert not syncing()
        db.abort()
        assert list(root) == []


def test_without_durability_nothing_is_synced(tmp_path, syncs, backends):
    with (
        LOTDB(tmp_path / "db", durability="process", backends=backends) as db,
        db.connection() as root,
    ):
        root.get_data_node("a").write_data(LARGE)
    assert syncs.sizes == []
