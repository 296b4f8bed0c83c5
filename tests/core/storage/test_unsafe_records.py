"""Nothing in a database is run: records that name what they must not are refused."""

import contextlib
import os
import pickle

import pytest
import transaction
import zodbpickle.pickle
from persistent.mapping import PersistentMapping
from tests.core.storage.databases import NAME, database, get, pack_database, put, raw_records, record
from ZODB.FileStorage import FileStorage
from ZODB.POSException import POSKeyError
from ZODB.utils import p64, u64

from lotdb.errors import UnsafeRecordError
from lotdb.records import Box, Children, Guard
from lotdb.storage import open_database, open_storage
from lotdb.storage.sealing import belongs, is_intact


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
