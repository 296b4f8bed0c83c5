"""Packing: what it removes, what it keeps, and what it leaves when it fails."""

import errno
import itertools
import os
import runpy
import shutil
import time

import pytest
import transaction
from persistent.mapping import PersistentMapping
from tests.core.storage.databases import (
    NAME,
    WORKER,
    blob_bytes,
    blob_files,
    database,
    fail_once,
    get,
    pack_database,
    put,
    raw_records,
)
from ZODB.blob import Blob
from ZODB.utils import z64

from lotdb.errors import ClosedError, DamagedError
from lotdb.storage import durable, open_storage

worker_functions = runpy.run_path(str(WORKER))


def run_in_child(function, *arguments):
    """Run it in a forked child; whether that was killed."""
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def leftovers(folder):
    """What a pack writes, and needs no longer when it is over."""
    return [*folder.glob("*.pack"), *folder.glob("*.old"), *folder.rglob(".removed")]


def test_pack_drops_old_revisions_and_their_blobs(tmp_path):
    with database(tmp_path) as db:
        for number in range(3):
            put(db, blob=Blob(b"%d" % number))
        pack_database(db)
        assert [file.read_bytes() for file in blob_files(tmp_path)] == [b"2"]
        assert len(list(raw_records(db.storage))) == 2
        put(db, value=1)
    assert not (tmp_path / f"{NAME}.old").exists()
    with database(tmp_path) as db:
        assert (get(db, "value"), blob_bytes(db, "blob")) == (1, b"2")


def test_pack_reclaims_after_the_clock_was_once_ahead(tmp_path, monkeypatch):
    with database(tmp_path) as db:
        now = time.time()
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: now + 1_000_000)
            put(db, value=1)
        for number in range(3):
            put(db, value=number)
        pack_database(db)
        assert len(list(raw_records(db.storage))) == 1


def test_pack_keeps_what_the_oldest_snapshot_reads(tmp_path, monkeypatch):
    with database(tmp_path) as db:
        # With the clock standing still, transactions are 14 nanoseconds apart: less than a float can tell.
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now)
        put(db, sub=PersistentMapping({"value": 1}))
        for number in (2, 3):
            with db.transaction() as connection:
                connection.root()["sub"]["value"] = number
        snapshot = db.lastTransaction()
        reader = db.open(transaction.TransactionManager())
        for number in (4, 5):
            with db.transaction() as connection:
                connection.root()["sub"]["value"] = number
        pack_database(db, oldest_tid=snapshot)
        reader.cacheMinimize()
        assert reader.root()["sub"]["value"] == 3
        reader.close()
        records = [data for _, _, data in raw_records(db.storage)]
        assert len(records) == 1 + 3  # the root, and three revisions of the mapping


def test_packing_twice_or_an_empty_database_is_no_error(tmp_path):
    with database(tmp_path) as db:
        pack_database(db)
        put(db, value=1)
        pack_database(db)
        pack_database(db)
        assert get(db, "value") == 1


def test_the_packed_file_is_synced_before_it_is_renamed_and_the_folder_after(tmp_path, synced, monkeypatch):
    with database(tmp_path) as db:
        put(db, blob=Blob(b"payload"))
        put(db, blob=None)
        synced.clear()
        for name in ("rename", "remove"):
            function = getattr(os, name)

            def note(path, *rest, name=name, function=function):
                synced.append(name)
                function(path, *rest)

            monkeypatch.setattr(os, name, note)
        pack_database(db)
    first, folder = synced.index("rename"), str(tmp_path)
    assert {f"{folder}/{NAME}.pack", f"{folder}/{NAME}.blobs/.removed", folder} <= set(synced[:first])
    assert synced[first : first + 4] == ["rename", "rename", folder, "remove"]


@pytest.mark.parametrize("number", range(4))
def test_a_sync_that_fails_in_pack_changes_nothing_and_locks_nothing(tmp_path, monkeypatch, number):
    with database(tmp_path) as db:
        for value in range(3):
            put(db, value=value)
        with monkeypatch.context() as patch:
            fail_once(patch, durable.os, "fsync", number)
            with pytest.raises(OSError, match="Input/output error"):
                pack_database(db)
        assert len(list(raw_records(db.storage))) == 4
        assert not leftovers(tmp_path)
        put(db, value=9)
        pack_database(db)
        assert get(db, "value") == 9


def test_a_rename_that_fails_in_pack_is_undone_at_the_next_opening(tmp_path, monkeypatch):
    with database(tmp_path) as db:
        put(db, value=1)
        with monkeypatch.context() as patch:
            fail_once(patch, os, "rename", 1)
            with pytest.raises(OSError, match="Input/output error"):
                pack_database(db)
        with pytest.raises(ClosedError):
            put(db, value=2)
    with pytest.raises(DamagedError, match="pack was interrupted"):
        open_storage(tmp_path, read_only=True)
    with database(tmp_path) as db:
        assert get(db, "value") == 1
        pack_database(db)


def test_a_packed_file_that_cannot_be_opened_is_read_at_the_next_opening(tmp_path, monkeypatch):
    def fail(path):
        raise OSError(errno.EMFILE, "Too many open files")

    with database(tmp_path) as db:
        for value in range(3):
            put(db, value=value, other=PersistentMapping())
        with monkeypatch.context() as patch:
            patch.setattr("lotdb.storage.reading.open_part", fail)
            with pytest.raises(OSError, match="Too many open files"):
                pack_database(db)
        with pytest.raises(ClosedError, match="Too many open files"):  # and nobody waits for a minute
            db.storage.load(z64)
    with database(tmp_path) as db:
        assert get(db, "value") == 2
        assert not leftovers(tmp_path)
        pack_database(db)
        assert get(db, "value") == 2


def test_a_pack_that_is_killed_at_any_step_loses_nothing(tmp_path):
    for step in itertools.count():
        path = tmp_path / str(step)
        with database(path) as db:
            put(db, value=1, keep=Blob(b"kept"), drop=Blob(b"dropped"), other=Blob(b"dropped"))
            put(db, value=2, drop=None, other=None)
        killed = run_in_child(worker_functions["die_in_pack"], path, step)
        with database(path) as db:
            assert (get(db, "value"), blob_bytes(db, "keep")) == (2, b"kept")
            assert not leftovers(path)
            pack_database(db)
            put(db, value=3)
            assert [file.read_bytes() for file in blob_files(path)] == [b"kept"]
        assert not leftovers(path)
        if not killed:
            break
    assert step > 10


def test_an_old_file_never_takes_the_place_of_a_whole_one(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1)
    shutil.copy(tmp_path / NAME, tmp_path / f"{NAME}.old")
    with database(tmp_path) as db:
        put(db, value=2)
    with database(tmp_path) as db:
        assert get(db, "value") == 2
