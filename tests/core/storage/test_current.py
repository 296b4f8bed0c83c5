"""Reading current records in one step gives what the usual way gives, and leaves to it what it must."""

import pytest
from persistent.mapping import PersistentMapping
from tests.core.storage.databases import database, put
from ZODB.utils import p64, u64

from lotdb.errors import DamagedError
from lotdb.storage.current import CurrentRecords
from lotdb.storage.reading import AHEAD


def usual(storage, oid, tid):
    return super(CurrentRecords, storage).loadBefore(oid, tid)


def test_it_reads_what_the_usual_way_reads_at_every_moment(tmp_path):
    sizes = (10, AHEAD - 200, AHEAD, 3 * AHEAD)
    with database(tmp_path / "db", durability="process") as db:
        for number, size in enumerate(sizes):
            put(db, a=PersistentMapping(x=b"x" * size), **{f"b{number}": PersistentMapping(x=number)})
        storage = db.storage
        tids = [transaction.tid for transaction in storage.iterator()]
        moments = [p64(u64(tid) + more) for tid in tids for more in (0, 1)]
        read = 0
        for oid in storage._index:
            for moment in moments:
                found = storage._current(oid, moment)
                assert found is None or found == usual(storage, oid, moment)
                assert storage.loadBefore(oid, moment) == usual(storage, oid, moment)
                read += found is not None
            assert storage._current(oid, moments[-1]) is not None  # whatever its size
        assert read >= len(storage._index)


def test_what_is_altered_is_left_to_the_usual_way_which_says_so(tmp_path):
    path = tmp_path / "db"
    with database(path, durability="process") as db:
        put(db, a=PersistentMapping(x=b"x" * 100))
        oid = db.storage._index.keys()[-1]
        position = db.storage._index[oid]
        file = db.storage._file_name
        with open(file, "r+b") as stream:
            for at in (0, 8, 16, 24, 34, 41, 42, 60, 140):  # parts of the header, and of the record
                stream.seek(position + at)
                byte = stream.read(1)
                stream.seek(position + at)
                stream.write(bytes([byte[0] ^ 1]))
                stream.flush()
                assert db.storage._current(oid, p64(2**63 - 1)) is None or at == 24, at
                if at >= 42:
                    with pytest.raises(DamagedError):
                        db.storage.loadBefore(oid, p64(2**63 - 1))
                stream.seek(position + at)
                stream.write(byte)
                stream.flush()
        assert db.storage._current(oid, p64(2**63 - 1)) is not None


def test_nothing_is_read_while_a_commit_is_at_its_last_step_or_after_the_end(tmp_path):
    with database(tmp_path / "db", durability="process") as db:
        put(db, a=PersistentMapping(x=1))
        storage, now = db.storage, p64(2**63 - 1)
        oid = next(iter(storage._index))
        assert storage._current(oid, now) is not None
        with storage._files.write_lock():
            assert storage._current(oid, now) is None
        descriptor = storage._files.descriptor
        storage._files.empty()
        assert storage._current(oid, now) is None
        storage._files.descriptor = descriptor
    assert storage._current(oid, now) is None
