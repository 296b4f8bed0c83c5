"""Checksums of transactions: a changed byte is found."""

import contextlib
from base64 import encodebytes

import pytest
import transaction
from persistent.mapping import PersistentMapping
from tests.core.storage.databases import (
    NAME,
    blob_bytes,
    database,
    get,
    pack_database,
    put,
    raw_records,
    record,
)
from ZODB import DB
from ZODB.blob import Blob
from ZODB.FileStorage import FileStorage
from ZODB.utils import p64, u64

from lotdb.errors import DamagedError
from lotdb.storage import open_storage
from lotdb.storage.sealing import is_intact, seal


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


def test_undo_brings_a_value_and_a_blob_back(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1, blob=Blob(b"first"))
        put(db, value=2)
        identifier = encodebytes(db.lastTransaction()).rstrip()
        manager = transaction.TransactionManager()
        db.undo(identifier, manager.begin())
        manager.commit()
        assert (get(db, "value"), blob_bytes(db, "blob")) == (1, b"first")
