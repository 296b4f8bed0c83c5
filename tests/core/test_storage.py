import contextlib
import errno
import itertools
import json
import os
import pickle
import random
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from base64 import encodebytes
from pathlib import Path

import pytest
import transaction
import zodbpickle.pickle
from persistent.mapping import PersistentMapping
from ZODB import DB
from ZODB.blob import Blob
from ZODB.FileStorage import FileStorage
from ZODB.POSException import POSKeyError
from ZODB.utils import p64, u64

from lotdb.errors import (
    ClosedError,
    CommitInDoubtError,
    DamagedError,
    DatabaseBusyError,
    DatabaseExistsError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    InvalidOptionError,
    ReadOnlyError,
    UnsafeRecordError,
    WrongThreadError,
)
from lotdb.records import Box, Children, Guard
from lotdb.storage import durable, open_database, open_storage, pack_database, raw_records, uninterrupted
from lotdb.storage.sealing import belongs, is_intact, seal

NAME = "lotdb.fs"
WORKER = Path(__file__).with_name("storage_worker.py")
worker_functions = runpy.run_path(str(WORKER))


@contextlib.contextmanager
def database(path, **options):
    db = open_database(open_storage(path, **options))
    try:
        yield db
    finally:
        db.close()


def put(db, **values):
    with db.transaction() as connection:
        connection.root().update(values)


def get(db, key, inner=None):
    with db.transaction() as connection:
        value = connection.root().get(key)
        return value if inner is None else value[inner]


def blob_bytes(db, key):
    with db.transaction() as connection, connection.root()[key].open() as file:
        return file.read()


def blob_files(path):
    return sorted((path / f"{NAME}.blobs").rglob("*.blob"))


@contextlib.contextmanager
def worker(*arguments):
    process = subprocess.Popen(
        [sys.executable, WORKER, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def run_in_child(function, *arguments):
    """Run it in a forked child; whether that was killed."""
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@contextlib.contextmanager
def ready_worker(*arguments):
    with worker(*arguments) as process:
        assert process.stdout.readline() == "ready\n"
        yield process


class Bomb:
    """Pickled, it makes a file where it is unpickled freely."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def store_raw(path, records, extension=b""):
    """Append a transaction with these records, as a stranger's program would."""
    storage = FileStorage(str(path / NAME), blob_dir=str(path / f"{NAME}.blobs"))
    meta = transaction.TransactionManager().begin()
    meta.extension_bytes = extension
    storage.tpc_begin(meta)
    for oid, data in records.items():
        try:
            serial = storage.load(p64(oid))[1]
        except POSKeyError:
            serial = p64(0)
        storage.store(p64(oid), serial, data, "", meta)
    storage.tpc_vote(meta)
    storage.tpc_finish(meta)
    storage.close()


def record(kind, state):
    return zodbpickle.pickle.dumps(kind, 3) + zodbpickle.pickle.dumps(state, 3)


# -- creating and opening -------------------------------------------------------------------------


def test_a_new_database_is_a_folder_of_parts_with_plain_names(tmp_path):
    with database(tmp_path / "a" / "b", new=True):
        pass
    assert {p.name for p in (tmp_path / "a" / "b").iterdir()} >= {NAME, f"{NAME}.lotdb", f"{NAME}.blobs"}
    assert json.loads((tmp_path / "a" / "b" / f"{NAME}.lotdb").read_text()) == {
        "format": 1,
        "product": "lotdb",
    }


def test_what_was_committed_is_there_after_reopening(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1, blob=Blob(b"payload"))
    with database(tmp_path) as db:
        assert (get(db, "value"), blob_bytes(db, "blob")) == (1, b"payload")


def test_a_moved_folder_is_the_same_database_and_names_no_old_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with database("first") as db:
        put(db, blob=Blob(b"payload"))
    shutil.move("first", "second")
    for file in Path("second").rglob("*"):
        assert not file.is_file() or str(tmp_path).encode() not in file.read_bytes()
    with database("second") as db:
        assert blob_bytes(db, "blob") == b"payload"
    assert not Path("first").exists()


def test_a_database_opened_by_a_relative_path_stays_in_its_place_when_the_process_moves(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with database("here") as db:
        monkeypatch.chdir(tmp_path / "elsewhere")
        put(db, blob=Blob(b"payload"))
        pack_database(db)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert blob_files(tmp_path / "here")


@pytest.mark.parametrize("part", [NAME, f"{NAME}.lotdb", f"{NAME}.blobs/", f"{NAME}.zarr/", f"{NAME}.old"])
def test_new_refuses_any_part_of_a_database(tmp_path, part):
    path = tmp_path / part
    path.mkdir() if part.endswith("/") else path.write_bytes(b"precious")
    with pytest.raises(DatabaseExistsError, match="without new=True"):
        open_storage(tmp_path, new=True)
    assert [p.name for p in tmp_path.iterdir()] == [part.rstrip("/")]
    assert path.is_dir() or path.read_bytes() == b"precious"


def test_databases_whose_names_begin_alike_do_not_meet(tmp_path):
    with database(tmp_path, name="data.fs") as longer, database(tmp_path, name="data", new=True) as shorter:
        put(longer, value=1)
        put(shorter, value=2)
        assert (get(longer, "value"), get(shorter, "value")) == (1, 2)


def test_reading_where_nothing_is_raises_and_creates_nothing(tmp_path):
    with pytest.raises(DatabaseNotFoundError, match="read_only"):
        open_storage(tmp_path / "absent", read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "x" * 300, None, 7])
def test_a_name_must_be_one_plain_file_name(tmp_path, name):
    with pytest.raises(InvalidOptionError, match="plain file name"):
        open_storage(tmp_path, name)


@pytest.mark.parametrize("path", ["", b"bytes", None, "a\0b"])
def test_a_path_must_be_one(path):
    with pytest.raises(InvalidOptionError, match="must be a folder"):
        open_storage(path)


def test_a_path_that_is_a_file_is_told_from_the_name(tmp_path):
    (tmp_path / NAME).write_bytes(b"precious")
    with pytest.raises(InvalidOptionError, match=r"path= takes the folder and name= the file"):
        open_storage(tmp_path / NAME)
    with pytest.raises(InvalidOptionError, match="not a folder"):
        open_storage(tmp_path / NAME / "below")


@pytest.mark.parametrize(
    "options", [{"durability": "some"}, {"durability": []}, {"new": True, "read_only": True}]
)
def test_options_that_make_no_sense_are_refused(tmp_path, options):
    with pytest.raises(InvalidOptionError):
        open_storage(tmp_path, **options)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_filestorage_is_refused_and_kept(tmp_path, read_only):
    (tmp_path / NAME).write_bytes(b"precious")
    with pytest.raises(DatabaseFormatError, match="not a LOTDB database"):
        open_storage(tmp_path, read_only=read_only)
    assert (tmp_path / NAME).read_bytes() == b"precious"


def test_a_fifo_in_the_place_of_the_data_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(DatabaseFormatError):
        open_storage(tmp_path)


def test_a_filestorage_of_another_application_is_refused(tmp_path):
    DB(FileStorage(str(tmp_path / NAME))).close()
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(DatabaseFormatError, match=r"lotdb\.fs\.lotdb"):
        open_storage(tmp_path)
    assert (tmp_path / NAME).read_bytes() == before
    assert not (tmp_path / f"{NAME}.blobs").exists()


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ({"format": 2, "product": "lotdb"}, "pip install"),
        ({"format": 1, "product": "x"}, "not of LOTDB"),
        ([], "remove it"),
    ],
)
def test_a_marker_of_something_else_is_refused(tmp_path, marker, message):
    with database(tmp_path):
        pass
    (tmp_path / f"{NAME}.lotdb").write_text(json.dumps(marker))
    for read_only in (False, True):
        with pytest.raises(DatabaseFormatError, match=message):
            open_storage(tmp_path, read_only=read_only)


def test_a_lost_marker_is_written_anew(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1, box=Box(()))
    (tmp_path / f"{NAME}.lotdb").unlink()
    with database(tmp_path) as db:
        assert get(db, "value") == 1
    assert (tmp_path / f"{NAME}.lotdb").exists()


def test_a_file_storage_of_others_gets_no_marker(tmp_path):
    with database(tmp_path) as db:
        put(db, value="of somebody else")
    (tmp_path / f"{NAME}.lotdb").unlink()
    with pytest.raises(DatabaseFormatError, match="is not a LOTDB database"):
        open_storage(tmp_path)
    assert not (tmp_path / f"{NAME}.lotdb").exists()


@pytest.mark.parametrize("at", range(3))
def test_a_creation_that_was_cut_short_is_begun_again(tmp_path, monkeypatch, at):
    calls = iter(range(at))
    replace = os.replace

    def cut_short(source, target):
        if next(calls, None) is None:
            raise OSError(errno.ENOSPC, "disk full")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", cut_short)
        with pytest.raises(OSError, match="disk full"):
            open_storage(tmp_path)
    with database(tmp_path) as db:
        put(db, value=1, blob=Blob(b"payload"))
    with database(tmp_path) as db:
        assert blob_bytes(db, "blob") == b"payload"


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("loss", ["missing", "empty"])
def test_a_lost_data_file_is_said_and_the_blobs_are_kept(tmp_path, loss, read_only):
    with database(tmp_path) as db:
        put(db, blob=Blob(b"payload"))
    (tmp_path / NAME).unlink()
    if loss == "empty":
        (tmp_path / NAME).touch()
    with pytest.raises(DamagedError, match=rf"is {loss}.*lotdb\.fs\.blobs"):
        open_storage(tmp_path, read_only=read_only)
    assert [file.read_bytes() for file in blob_files(tmp_path)] == [b"payload"]
    assert (tmp_path / NAME).exists() == (loss == "empty")


def test_a_missing_blob_folder_is_said(tmp_path):
    with database(tmp_path) as db:
        put(db, blob=Blob(b"payload"))
    shutil.rmtree(tmp_path / f"{NAME}.blobs")
    with pytest.raises(DamagedError, match=r"lotdb\.fs\.blobs is missing"):
        open_storage(tmp_path)
    (tmp_path / f"{NAME}.blobs").mkdir()
    with database(tmp_path) as db, pytest.raises(DamagedError, match="is missing"):
        blob_bytes(db, "blob")


def test_an_empty_layout_file_is_repaired(tmp_path):
    with database(tmp_path) as db:
        put(db, blob=Blob(b"payload"))
    layout = tmp_path / f"{NAME}.blobs" / ".layout"
    layout.write_bytes(b"")
    with database(tmp_path, read_only=True) as db:
        assert blob_bytes(db, "blob") == b"payload"
    assert layout.read_bytes() == b""
    with database(tmp_path) as db:
        assert blob_bytes(db, "blob") == b"payload"
    assert layout.read_bytes() == b"bushy"


def test_temporary_files_of_dead_processes_are_cleared(tmp_path):
    with database(tmp_path):
        pass
    (tmp_path / f"{NAME}.blobs" / "tmp" / "savepoint").mkdir()
    with database(tmp_path):
        assert list((tmp_path / f"{NAME}.blobs" / "tmp").iterdir()) == []


def test_a_folder_that_cannot_be_written_points_to_read_only(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(os, "makedirs", refuse)
    with pytest.raises(ReadOnlyError, match="read_only=True"):
        open_storage(tmp_path / "new")


def test_reading_needs_to_write_nothing(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1)
    (tmp_path / f"{NAME}.readers").unlink()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    opened = open

    def read_only_open(path, mode="r", *args, **kwargs):
        if set(mode) & set("wa+"):
            raise OSError(errno.EROFS, "read-only file system")
        return opened(path, mode, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.open", read_only_open)
        with database(tmp_path, read_only=True) as db:
            assert get(db, "value") == 1
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_a_read_only_database_refuses_commit_and_pack(tmp_path):
    with database(tmp_path):
        pass
    with database(tmp_path, read_only=True) as db:
        with pytest.raises(ReadOnlyError):
            put(db, value=1)
        with pytest.raises(ReadOnlyError):
            pack_database(db)


# -- locks ----------------------------------------------------------------------------------------


def test_a_second_writing_process_is_told_who_holds_the_database(tmp_path):
    with ready_worker("hold", tmp_path) as process:
        with pytest.raises(DatabaseBusyError, match=f"in use by process {process.pid}"):
            open_storage(tmp_path)
        with database(tmp_path, read_only=True):
            pass


def test_a_writer_waits_for_the_other_up_to_its_timeout(tmp_path):
    with ready_worker("hold", tmp_path) as process:
        with pytest.raises(DatabaseBusyError):
            open_storage(tmp_path, timeout=0.1)
        timer = threading.Timer(0.2, process.stdin.close)
        timer.start()
        with database(tmp_path, timeout=10):
            pass
        timer.join()


def test_opening_twice_in_one_process_is_called_that(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1)
        with pytest.raises(DatabaseBusyError, match="this process"):
            open_storage(tmp_path)
        put(db, value=2)
        assert get(db, "value") == 2


def test_a_forked_child_keeps_the_lock_and_the_message_mentions_it(tmp_path):
    with ready_worker("leave_a_child", tmp_path) as process:
        process.wait(10)
        with pytest.raises(DatabaseBusyError, match="child that it forked"):
            open_storage(tmp_path)
    with database(tmp_path, timeout=5):
        pass


def test_a_forked_child_can_neither_commit_nor_free_the_lock(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                put(db, value=2)
            except WrongThreadError:
                db.storage.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        with pytest.raises(DatabaseBusyError):
            open_storage(tmp_path)
        put(db, value=3)
    with database(tmp_path) as db:
        assert get(db, "value") == 3


def test_pack_waits_for_readers_to_go(tmp_path):
    with database(tmp_path) as db:
        with ready_worker("read", tmp_path), pytest.raises(DatabaseBusyError, match="read_only=True"):
            pack_database(db)
        pack_database(db)


# -- nothing in a database is run -----------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
def test_a_malicious_index_is_ignored(tmp_path, read_only):
    with database(tmp_path) as db:
        put(db, value=1)
    for content in (pickle.dumps(Bomb(tmp_path / "boom"), 2), pickle.dumps(2**70, 2), b"", b"junk"):
        (tmp_path / f"{NAME}.index").write_bytes(content)
        with database(tmp_path, read_only=read_only) as db:
            assert get(db, "value") == 1
    assert not (tmp_path / "boom").exists()


def test_the_index_is_used_when_it_is_right(tmp_path):
    with database(tmp_path) as db:
        put(db, tree=Children({str(i): i for i in range(1000)}))
    with database(tmp_path) as db:
        assert db.storage._used_index
        assert get(db, "tree", "999") == 999


@pytest.mark.parametrize(
    "data",
    [
        b"cposix\nmkdir\n.}.",
        b"((Vposix\nVmkdir\ntNt.}.",
        record(PersistentMapping, {"data": {"x": 1}})[:-1] + b"0cposix\nmkdir\n.",
        b"cpersistent.mapping\nPersistentMapping\n.}(X\x04\x00\x00\x00data}X\x01\x00\x00\x00x"
        b"(U\x08\0\0\0\0\0\0\0\0cposix\nmkdir\ntQsu.",
    ],
    ids=["class", "class by name", "state", "reference"],
)
def test_a_record_that_names_another_class_is_refused(tmp_path, data):
    with database(tmp_path) as db:
        put(db, sub=PersistentMapping())
        oid = get(db, "sub")._p_oid
    store_raw(tmp_path, {u64(oid): data})
    with database(tmp_path) as db:
        with pytest.raises(UnsafeRecordError, match=r"posix\.mkdir"), db.transaction() as connection:
            connection.get(oid).items()
        pack_database(db)


def test_a_record_that_calls_is_neither_run_by_loading_nor_by_packing(tmp_path):
    with database(tmp_path) as db:
        put(db, sub=PersistentMapping())
        oid = get(db, "sub")._p_oid
    bomb = zodbpickle.pickle.dumps(Bomb(tmp_path / "boom"), 3)
    for data in (bomb + bomb, zodbpickle.pickle.dumps(PersistentMapping, 3) + bomb):
        store_raw(tmp_path, {u64(oid): data}, extension=bomb)
    with database(tmp_path) as db:
        with pytest.raises(UnsafeRecordError), db.transaction() as connection:
            list(connection.root()["sub"])
        assert bomb in b"".join(data for _, _, data in raw_records(db.storage))
        pack_database(db)
    assert not (tmp_path / "boom").exists()


def test_a_malicious_root_is_refused_and_the_storage_is_closed(tmp_path):
    with database(tmp_path):
        pass
    store_raw(tmp_path, {0: b"cposix\nmkdir\n.}."})
    for _ in range(2):
        with pytest.raises(UnsafeRecordError, match=r"posix\.mkdir"):
            open_database(open_storage(tmp_path))


@pytest.mark.parametrize("form", ["class", "class by name", "state"])
def test_conflict_resolution_calls_no_class_off_the_list(tmp_path, form):
    bomb = zodbpickle.pickle.dumps(Bomb(tmp_path / "boom"), 3)
    old = {
        "class": bomb + zodbpickle.pickle.dumps({}, 3),
        "class by name": zodbpickle.pickle.dumps((("os", "mkdir"), (str(tmp_path / "boom"),)), 3) + b"}.",
        "state": zodbpickle.pickle.dumps(Children, 3) + bomb,
    }[form]
    with database(tmp_path):
        pass
    store_raw(tmp_path, {99: old})
    serial = FileStorage(str(tmp_path / NAME), read_only=True)
    first = serial.load(p64(99))[1]
    serial.close()
    store_raw(tmp_path, {99: record(Children, None)})
    with contextlib.closing(open_storage(tmp_path)) as storage:
        meta = transaction.TransactionManager().begin()
        meta.extension_bytes = b""
        storage.tpc_begin(meta)
        with pytest.raises(UnsafeRecordError):
            storage.store(p64(99), first, record(Children, None), "", meta)
        storage.tpc_abort(meta)
    assert not (tmp_path / "boom").exists()


def test_changes_of_different_keys_are_merged_and_the_merged_record_is_sealed(tmp_path):
    with database(tmp_path) as db:
        put(db, tree=Children({"": None}))
        managers = [transaction.TransactionManager() for _ in range(2)]
        connections = [db.open(manager) for manager in managers]
        for number, connection in enumerate(connections):
            connection.root()["tree"][f"key{number}"] = number
        for manager in managers:
            manager.commit()
        for connection in connections:
            connection.close()
        assert (get(db, "tree", "key0"), get(db, "tree", "key1")) == (0, 1)
        assert all(
            data[-11:-8] == b".\0M" and is_intact(data) and belongs(data, oid, tid)
            for oid, tid, data in raw_records(db.storage)
        )


def test_the_records_of_a_tree_are_loaded_and_merged(tmp_path):
    with database(tmp_path) as db:
        names = [f"{number:04}" for number in range(500)]
        put(db, tree=Children({name: ("t", Children(), Guard(), Box(((),))) for name in names}))
        managers = [transaction.TransactionManager() for _ in range(2)]
        connections = [db.open(manager) for manager in managers]
        for connection, name in zip(connections, ("0000", "0001"), strict=True):
            connection.root()["tree"][name + "x"] = ("t", Box((name,)))
        for manager in managers:
            manager.commit()
        for connection in connections:
            connection.close()
    with database(tmp_path) as db, db.transaction() as connection:
        children = connection.root()["tree"]
        assert len(children) == 502
        assert [children[name][1].own for name in ("0000x", "0001x")] == [("0000",), ("0001",)]
        assert all(type(entry[1]) in (Children, Box) for entry in children.values())


@pytest.mark.parametrize("call", ["undoLog", "undoInfo"])
def test_the_undo_log_is_refused(tmp_path, call):
    with database(tmp_path) as db, pytest.raises(UnsafeRecordError, match=call):
        getattr(db, call)()


def test_history_and_import_are_refused(tmp_path):
    with database(tmp_path) as db:
        with pytest.raises(UnsafeRecordError):
            db.history(p64(0))
        connection = db.open()
        with pytest.raises(UnsafeRecordError):
            connection.importFile("any")
        connection.close()


# -- commits --------------------------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch):
    """The paths that were synced, in order."""
    paths = []

    def fsync(descriptor):
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(durable.os, "fsync", fsync)
    return paths


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


def fail_once(monkeypatch, module, name, number=0):
    """Make the call of this number raise EIO."""
    function, calls = getattr(module, name), iter(range(number + 1))

    def call(*args):
        if next(calls, None) == number:
            raise OSError(errno.EIO, "Input/output error")
        return function(*args)

    monkeypatch.setattr(module, name, call)


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
        with database(tmp_path, timeout=5) as db:
            number = get(db, "number")
            assert number in (acknowledged, acknowledged + 1)
            assert blob_bytes(db, "blob") == b"%d" % number * 1000


# -- packing --------------------------------------------------------------------------------------


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


def test_a_pack_that_is_killed_at_any_step_loses_nothing(tmp_path):
    for step in itertools.count():
        path = tmp_path / str(step)
        with database(path) as db:
            put(db, value=1, keep=Blob(b"kept"), drop=Blob(b"dropped"), other=Blob(b"dropped"))
            put(db, value=2, drop=None, other=None)
        killed = run_in_child(worker_functions["die_in_pack"], path, step)
        with database(path) as db:
            assert (get(db, "value"), blob_bytes(db, "keep")) == (2, b"kept")
            pack_database(db)
            put(db, value=3)
            assert [file.read_bytes() for file in blob_files(path)] == [b"kept"]
        assert not (path / f"{NAME}.old").exists()
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


# -- checksums ------------------------------------------------------------------------------------


def flip(path, inside):
    content = bytearray(path.read_bytes())
    content[content.index(inside) + 2] ^= 4
    path.write_bytes(content)


def test_a_flipped_bit_is_found_and_its_object_named(tmp_path):
    with database(tmp_path) as db:
        put(db, sub=PersistentMapping({"value": "precious"}), other=1)
        oid = get(db, "sub")._p_oid
    flip(tmp_path / NAME, b"precious")
    before = (tmp_path / NAME).read_bytes()
    with database(tmp_path) as db:
        with pytest.raises(DamagedError, match=rf"object {u64(oid):#04x}.*not the ones that were stored"):
            get(db, "sub", "value")
        with pytest.raises(DamagedError):
            list(raw_records(db.storage))
        with pytest.raises(DamagedError):
            pack_database(db)
        assert get(db, "other") == 1
    assert (tmp_path / NAME).read_bytes() == before


def test_every_single_flipped_bit_of_a_record_is_found():
    sealed = seal(record(PersistentMapping, {"data": {"x": 1}}), p64(1), p64(2))
    for bit in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not is_intact(bytes(damaged))


def test_a_damaged_header_is_damage_too(tmp_path):
    with database(tmp_path) as db:
        put(db, sub=PersistentMapping())
        oid = get(db, "sub")._p_oid
        position = db.storage._index[oid]
        for number in range(10):  # the last ones are compared with the index when it is opened
            put(db, number=number)
    content = bytearray((tmp_path / NAME).read_bytes())
    content[position] ^= 1
    (tmp_path / NAME).write_bytes(content)
    with (
        contextlib.closing(open_storage(tmp_path)) as storage,
        pytest.raises(DamagedError, match="cannot be read"),
    ):
        storage.load(oid)


def test_plain_zodb_reads_the_database_and_what_it_writes_is_read(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1)
    db = DB(FileStorage(str(tmp_path / NAME), blob_dir=str(tmp_path / f"{NAME}.blobs")))
    assert get(db, "value") == 1
    put(db, value=2)
    db.close()
    with database(tmp_path) as db:
        assert get(db, "value") == 2
        put(db, value=3)
        pack_database(db)


def test_records_copied_to_another_database_are_sealed_once(tmp_path):
    with database(tmp_path / "a") as db:
        put(db, value=1, blob=Blob(b"payload"))
        with contextlib.closing(open_storage(tmp_path / "b")) as target:
            target.copyTransactionsFrom(db.storage)
            assert list(raw_records(target)) == list(raw_records(db.storage))
    with database(tmp_path / "b") as db:
        assert (get(db, "value"), blob_bytes(db, "blob")) == (1, b"payload")


def test_raw_records_are_those_of_all_revisions(tmp_path):
    with database(tmp_path) as db:
        for word in ("alpha", "beta"):
            put(db, word=word)
        records = list(raw_records(db.storage))
        assert [oid for oid, _, _ in records] == [p64(0)] * 3
        assert sorted(tid for _, tid, _ in records) == [tid for _, tid, _ in records]
        assert b"alpha" in records[1][2]
        assert b"beta" in records[2][2]


def test_raw_records_of_another_storage(tmp_path):
    db = DB(None)
    put(db, word="alpha")
    assert any(b"alpha" in data for _, _, data in raw_records(db.storage))
    db.close()


def test_undo_brings_a_value_and_a_blob_back(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1, blob=Blob(b"first"))
        put(db, value=2)
        identifier = encodebytes(db.lastTransaction()).rstrip()
        manager = transaction.TransactionManager()
        db.undo(identifier, manager.begin())
        manager.commit()
        assert (get(db, "value"), blob_bytes(db, "blob")) == (1, b"first")


# -- signals --------------------------------------------------------------------------------------


def test_an_interrupt_waits_for_the_end_of_the_block():
    done = False
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        done = True
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_both_signals_are_delivered_once_each_even_when_a_handler_raises():
    calls = []

    def handler(signum, frame):
        calls.append(signum)
        if signum == signal.SIGINT:
            raise KeyboardInterrupt

    before = [signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)]
    try:
        with pytest.raises(KeyboardInterrupt), uninterrupted(), uninterrupted():
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(signum)
            assert calls == []
        assert calls == [signal.SIGINT, signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_the_error_of_the_block_comes_through_when_nothing_arrived():
    with pytest.raises(ZeroDivisionError), uninterrupted():
        raise ZeroDivisionError


def test_a_default_signal_handler_is_left_in_place():
    with uninterrupted():
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_another_thread_changes_no_handlers():
    seen = []

    def work():
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_interrupts_at_random_moments_of_commits_never_hang_nor_harm(tmp_path):
    with database(tmp_path, durability="process") as db:
        number = 0
        interrupts = 0
        before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        for _ in range(10_000):  # rounds; about 200 are enough, and some more on a machine that is busy
            if number > 100 and interrupts > 100:
                break
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00005, 0.001))
                with uninterrupted():
                    put(db, number=number)
                    number += 1
                time.sleep(0.002)
            except KeyboardInterrupt:
                interrupts += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        assert number > 100
        assert interrupts > 100
        assert get(db, "number") == number - 1
