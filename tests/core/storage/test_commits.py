"""Commits reach the disk, and say so if they do not."""

import contextlib
import random
import resource
import time
from pathlib import Path

import pytest
import transaction
from persistent.mapping import PersistentMapping
from tests.core.storage.databases import (
    NAME,
    blob_bytes,
    blob_files,
    database,
    fail_once,
    get,
    pack_database,
    put,
    record,
    worker,
)
from ZODB.blob import Blob
from ZODB.utils import p64

from lotdb.errors import ClosedError, CommitInDoubtError
from lotdb.records import Children
from lotdb.storage import durable, open_storage


def test_creation_syncs_every_part_and_every_new_folder(tmp_path, synced):
    open_storage(tmp_path / "a" / "b").close()
    folder = str(tmp_path / "a" / "b")
    data_file, marker = f"{folder}/{NAME}.new", f"{folder}/{NAME}.lotdb.new"
    assert {str(tmp_path), str(tmp_path / "a"), folder, f"{folder}/{NAME}.blobs"} < set(synced)
    assert f"{folder}/{NAME}.blobs/.layout.new" in synced
    assert folder in synced[synced.index(data_file) : synced.index(marker)]
    assert folder in synced[synced.index(marker) :]


def test_blob_files_and_their_folders_are_synced_before_the_data_file(tmp_path, synced):
    with database(tmp_path) as db:
        put(db, blob=Blob(b"payload"))  # the first one in a storage syncs all folders above it
        first = [Path(p) for p in synced]
        synced.clear()
        put(db, another=Blob(b"payload"))
        second = [Path(p) for p in synced]
    one, two = blob_files(tmp_path)
    blobs = tmp_path / f"{NAME}.blobs"
    above = [p for p in one.parents if p.is_relative_to(blobs)]
    assert first[-10:] == [*above, tmp_path / NAME]
    assert first[-11] == one
    assert second == [two, two.parent, two.parent.parent, tmp_path / NAME]


def test_durability_process_syncs_nothing(tmp_path, synced):
    with database(tmp_path, durability="process") as db:
        put(db, blob=Blob(b"payload"))
        pack_database(db)
    assert synced == []


@contextlib.contextmanager
def file_size_limit(size):
    """A real disk that is full: files cannot grow beyond *size*."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ZODB copies a transaction in pieces of 64 KiB. What is left when one piece is written stays in a buffer.
@pytest.mark.parametrize("room", [0, 1, 22, 23, 100, 8192, 30_000, 65_536, 65_537, 65_600, 65_800, 66_000])
def test_after_a_full_disk_smaller_commits_are_right_and_the_database_opens_again(tmp_path, room):
    with database(tmp_path, durability="process") as db:
        put(db, ballast=PersistentMapping({"data": b"x" * 200_000}))
        with file_size_limit((tmp_path / NAME).stat().st_size + room), pytest.raises(OSError, match="large"):
            put(db, big=b"y" * 66_000)
        assert get(db, "big") is None
        assert (tmp_path / NAME).stat().st_size == db.storage.getSize()
        put(db, small=1)
        # What is left of the larger transaction would be read as one that comes after the small one.
        assert (tmp_path / NAME).stat().st_size == db.storage.getSize()
    with database(tmp_path) as db:
        assert (get(db, "small"), get(db, "big"), len(get(db, "ballast", "data"))) == (1, None, 200_000)


@pytest.mark.parametrize("room", [5000, 8192, 20000])
def test_after_a_transaction_too_large_for_the_disk_a_small_one_fits(tmp_path, room):
    with database(tmp_path, durability="process") as db:
        manager = transaction.TransactionManager()
        with contextlib.closing(db.open(manager)) as connection, file_size_limit(room):
            connection.root()["big"] = Children({str(number): PersistentMapping() for number in range(1000)})
            with pytest.raises(OSError, match="large"):
                manager.commit()
            manager.abort()
            put(db, small=1)
    with database(tmp_path) as db:
        assert (get(db, "small"), get(db, "big")) == (1, None)


def test_a_sync_that_fails_at_the_commit_point_leaves_a_doubt_and_a_closed_storage(tmp_path, monkeypatch):
    with database(tmp_path) as db:
        put(db, value=1)
        reader = db.open(transaction.TransactionManager())
        with monkeypatch.context() as patch:
            fail_once(patch, durable.os, "fsync")
            with pytest.raises(CommitInDoubtError, match="open it again and look"):
                put(db, value=2)
        with pytest.raises(ClosedError, match="Input/output error"):
            put(db, value=3)
        with pytest.raises(ClosedError):
            db.storage.load(p64(0))
        with pytest.raises(ClosedError):
            reader.root()._p_invalidate() or reader.root()["value"]
        with pytest.raises(ClosedError):
            pack_database(db)
    with database(tmp_path) as db:
        assert get(db, "value") in (1, 2)
        put(db, value=4)
    with database(tmp_path) as db:
        assert get(db, "value") == 4


@pytest.mark.parametrize("number", range(3))
def test_a_sync_that_fails_before_the_commit_point_aborts_and_leaves_no_blob(tmp_path, monkeypatch, number):
    with database(tmp_path) as db:
        put(db, value=1)
        with monkeypatch.context() as patch:
            fail_once(patch, durable.os, "fsync", number)
            with pytest.raises(OSError, match="Input/output error") as caught:
                put(db, value=2, blob=Blob(b"payload"))
        assert not isinstance(caught.value, CommitInDoubtError)
        assert blob_files(tmp_path) == []
        put(db, value=3)
    with database(tmp_path) as db:
        assert get(db, "value") == 3


def test_an_error_while_others_are_told_of_a_commit_closes_the_storage(tmp_path):
    with database(tmp_path) as db:
        put(db, value=b"x" * 1000)
        storage = db.storage
        meta = transaction.TransactionManager().begin()
        meta.extension_bytes = b""
        storage.tpc_begin(meta)
        storage.store(p64(77), p64(0), record(Children, None), "", meta)
        storage.tpc_vote(meta)

        def fail(tid):
            raise ZeroDivisionError

        with pytest.raises(CommitInDoubtError) as caught:
            storage.tpc_finish(meta, fail)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        with pytest.raises(ClosedError):
            put(db, value=2)
    with database(tmp_path) as db:
        assert get(db, "value") == b"x" * 1000


class FailingManager:
    """Takes part in a transaction, and votes no after the database has stored its blobs."""

    def __init__(self, manager, key):
        self.transaction_manager, self.key = manager, key

    def sortKey(self):
        return self.key

    def tpc_vote(self, transaction):
        raise ZeroDivisionError

    def commit(self, transaction):
        pass

    abort = tpc_begin = tpc_finish = tpc_abort = commit


@pytest.mark.parametrize("key", ["", "~"], ids=["before the vote", "after the vote"])
def test_a_blob_of_an_aborted_transaction_is_removed(tmp_path, key):
    with database(tmp_path) as db:
        manager = transaction.TransactionManager()
        connection = db.open(manager)
        connection.root()["blob"] = Blob(b"payload")
        manager.get().join(FailingManager(manager, key))
        with pytest.raises(ZeroDivisionError):
            manager.commit()
        manager.abort()
        connection.close()
        assert blob_files(tmp_path) == []
        put(db, blob=Blob(b"second"))
        assert blob_bytes(db, "blob") == b"second"


def test_every_acknowledged_commit_survives_kill_9(tmp_path):
    with database(tmp_path):
        pass
    acknowledged = 0
    for seed in range(3):
        with worker("commit_until_killed", tmp_path) as process:
            lines = [process.stdout.readline() for _ in range(5)]
            time.sleep(random.Random(seed).random() / 50)
            process.kill()
            lines += process.stdout.read().splitlines()
            acknowledged = max(acknowledged, int(lines[-1] or lines[-2]))
        with database(tmp_path, timeout=60) as db:
            number = get(db, "number")
            assert number in (acknowledged, acknowledged + 1)
            assert blob_bytes(db, "blob") == b"%d" % number * 1000
