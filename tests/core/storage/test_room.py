"""The data file is longer than what was committed, and nobody takes what stands behind for anything else."""

import contextlib
import logging
import os
import shutil

import pytest
import transaction
from hypothesis import given
from hypothesis import strategies as st
from tests.core.storage.databases import NAME, database, fail_once, get, pack_database, put
from ZODB.blob import Blob
from ZODB.FileStorage import FileIterator, FileStorage
from ZODB.utils import p64, u64, z64

from lotdb import LOTDB, salvage
from lotdb.storage import following, open_storage, room

SECTOR = 512
FEW = 9  # commits, after which there is room


def begin(db):
    """So many commits that there is room."""
    for _ in range(FEW):
        put(db, value=0)


def size_of(path):
    return (path / NAME).stat().st_size


def killed(path):
    """A folder as a process leaves it that is killed after some commits."""
    with database(path) as db:
        for number in range(FEW):
            put(db, value=number, text="x" * 100)
        end = db.storage.getSize()
        db.storage.abandon()
    assert size_of(path) > end
    return end


def said(caplog):
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_small_commits_do_not_make_the_file_longer_and_closing_cuts_it(tmp_path):
    with database(tmp_path) as db:
        begin(db)
        longer = size_of(tmp_path)
        for number in range(20):
            put(db, value=number)
            assert size_of(tmp_path) == longer > db.storage.getSize()
        for number in range(20, 300):
            put(db, value=number)
        assert longer < size_of(tmp_path) < 2 * db.storage.getSize()
        end = db.storage.getSize()
    assert size_of(tmp_path) == end
    with database(tmp_path) as db:
        assert get(db, "value") == 299


def test_a_few_commits_make_no_room_nor_does_a_large_one_nor_one_that_is_not_synced(tmp_path):
    with database(tmp_path / "few") as db:
        put(db, value=0)
    with database(tmp_path / "few") as db:
        for number in range(FEW - 1):
            put(db, value=number)
            assert size_of(tmp_path / "few") == db.storage.getSize()
        put(db, value=FEW)
        assert size_of(tmp_path / "few") > db.storage.getSize()
        put(db, value=b"x" * 100_000)
        assert size_of(tmp_path / "few") == db.storage.getSize()
    with database(tmp_path / "process", durability="process") as db:
        for number in range(2 * FEW):
            put(db, value=number)
            assert size_of(tmp_path / "process") == db.storage.getSize()


@pytest.mark.parametrize("left", range(30))
def test_room_is_used_to_its_last_byte(tmp_path, left, caplog):
    """What is left behind a transaction may be too small for the header of the next."""
    with database(tmp_path) as db:
        begin(db)
        put(db, value="")
        before = db.storage.getSize()
        put(db, value="")
        taken = db.storage.getSize() - before
        free = size_of(tmp_path) - db.storage.getSize()
        put(db, value="x" * (free - taken - left))
        put(db, other=1)
        db.storage.abandon()
    with database(tmp_path) as db:
        assert (len(get(db, "value")), get(db, "other")) == (free - taken - left, 1)
    assert said(caplog) == []


def test_after_a_kill_the_room_is_cut_off_in_silence(tmp_path, caplog):
    end = killed(tmp_path)
    before = (tmp_path / NAME).read_bytes()
    with contextlib.closing(open_storage(tmp_path, read_only=True)) as storage:
        assert storage.getSize() == end
    assert (tmp_path / NAME).read_bytes() == before
    with database(tmp_path) as db:
        assert get(db, "value") == FEW - 1
    assert size_of(tmp_path) == end
    assert said(caplog) == []
    assert not [*tmp_path.glob("*.tr*")]


@pytest.mark.parametrize("gone", [".end", ".index"])
def test_room_is_known_without_the_files_beside(tmp_path, gone, caplog):
    end = killed(tmp_path)
    (tmp_path / (NAME + gone)).unlink(missing_ok=True)
    with database(tmp_path) as db:
        assert get(db, "value") == FEW - 1
    assert size_of(tmp_path) == end
    assert len(said(caplog)) == (gone == ".end")


def test_zodb_reads_a_file_with_room(tmp_path):
    end = killed(tmp_path)
    ids = [each.tid for each in FileIterator(str(tmp_path / NAME))]
    with contextlib.closing(FileStorage(str(tmp_path / NAME), read_only=True)) as storage:
        assert (storage.getSize(), storage.lastTransaction()) == (end, ids[-1])
    with contextlib.closing(FileStorage(str(tmp_path / NAME))) as storage:
        assert (storage.getSize(), storage.lastTransaction()) == (end, ids[-1])
        assert b"x" * 100 in storage.load(z64)[0]


def test_the_transactions_of_an_open_database_are_given_from_any_on(tmp_path, caplog):
    with database(tmp_path) as db:
        begin(db)
        ids = [db.lastTransaction()]
        for number in range(5):
            put(db, value=number)
            ids.append(db.lastTransaction())
        assert size_of(tmp_path) > db.storage.getSize()
        for start, tid in enumerate(ids):
            assert [each.tid for each in db.storage.iterator(tid)] == ids[start:]
            assert [each.tid for each in db.storage.iterator(tid, ids[3])] == ids[start:4]
        assert [*db.storage.iterator(p64(u64(ids[-1]) + 1))] == []
        assert [each.tid for each in db.storage.iterator()][-6:] == ids
    assert said(caplog) == []


def test_a_reader_does_not_keep_what_it_has_read_of_the_room(tmp_path):
    with database(tmp_path) as db, contextlib.closing(open_storage(tmp_path, read_only=True)) as reader:
        begin(db)
        for number in range(5):
            put(db, value=number)
            reader.follow()
            tid = db.lastTransaction()
            assert reader.getTid(z64) == db.storage.getTid(z64) == tid  # which ZODB reads with a file object
            assert reader.loadSerial(z64, tid) == db.storage.loadSerial(z64, tid)


def test_a_transaction_that_was_begun_in_the_room_is_told_and_kept(tmp_path, caplog):
    end = killed(tmp_path)
    with open(tmp_path / NAME, "r+b") as file:
        header = file.read()[end : end + 23]
        file.seek(end)
        file.write(header[:7] + b"\xff" + header[8:] + b"begun")
    with database(tmp_path) as db:
        assert get(db, "value") == FEW - 1
    assert size_of(tmp_path) == end
    assert "never finished" in said(caplog)[0]
    assert b"begun" in next(tmp_path.glob("*.tr0")).read_bytes()


@pytest.mark.parametrize("hold", ["watermark", None])
@given(data=st.data())
def test_sectors_that_a_power_cut_leaves_unwritten_make_no_damage(tmp_path_factory, hold, data):
    """Of a commit that was not acknowledged, any sector may be as before: it is there or it is not."""
    path = tmp_path_factory.mktemp("cut")
    with database(path / "db") as db:
        for number in range(FEW):
            start = db.storage.getSize()
            put(db, value=number, text=bytes(1000))
        rest = db.storage.getSize() - start - 1000  # of a transaction all but the text
        before, marks = (path / "db" / NAME).read_bytes(), (path / "db" / f"{NAME}.end").read_bytes()
        # So that it ends within the room, with a sector, just at the end of the room, or behind it.
        end = db.storage.getSize()
        sector = -(end + rest) % SECTOR
        free = len(before) - end - rest
        lengths = [300, sector + SECTOR, sector + 5 * SECTOR, 3000, free - 23, free, free + 3000, 100_000]
        put(db, value=FEW, text=os.urandom(data.draw(st.sampled_from(lengths))))
        after, end = (path / "db" / NAME).read_bytes(), db.storage.getSize()
        db.storage.abandon()
    size = data.draw(st.sampled_from([len(before), len(after)]))
    content = bytearray(before.ljust(size, b"\0")[:size])
    for at in range(0, size, SECTOR):
        if after[at : at + SECTOR] != before[at : at + SECTOR] and data.draw(st.booleans()):
            content[at : at + SECTOR] = after[at : at + SECTOR]
    (path / "db" / NAME).write_bytes(content[:size])
    if hold is None:
        (path / "db" / f"{NAME}.end").unlink()
    else:
        (path / "db" / f"{NAME}.end").write_bytes(marks)
    with contextlib.closing(open_storage(path / "db", read_only=True)) as storage:
        assert storage.lastTransaction() > z64
    with database(path / "db") as db:
        found = get(db, "value")
        assert found == FEW - 1 or (found == FEW and content[:end] == after[:end])
        begin(db)
        put(db, value=5)
    with database(path / "db") as db:
        assert get(db, "value") == 5
        assert db.storage.check_headers() is False
    shutil.rmtree(path)


@pytest.mark.parametrize("torn", [True, False])
@pytest.mark.parametrize("landed", range(24))
def test_a_power_cut_may_leave_a_part_of_the_header_of_the_room(tmp_path, torn, landed, caplog):
    """As it does where the header lies in two sectors: what is before it may then be torn all the same."""
    with database(tmp_path) as db:
        begin(db)
        put(db, value=2)
        before, marks = db.storage.getSize(), (tmp_path / f"{NAME}.end").read_bytes()
        put(db, value=3, text=os.urandom(2000))
        end = db.storage.getSize()
        db.storage.abandon()
    content = bytearray((tmp_path / NAME).read_bytes())
    content[end + landed :] = bytes(len(content) - end - landed)
    if torn:
        content[before + 1000 : before + 1512] = bytes(512)
    (tmp_path / NAME).write_bytes(content)
    (tmp_path / f"{NAME}.end").write_bytes(marks)
    with contextlib.closing(open_storage(tmp_path, read_only=True)) as storage:
        assert storage.getSize() == (before if torn else end)
    with database(tmp_path) as db:
        assert (get(db, "value"), get(db, "text") is None) == ((2, True) if torn else (3, False))
    assert size_of(tmp_path) == (before if torn else end)
    assert len(said(caplog)) == len([*tmp_path.glob("*.tr0")]) == torn


def test_a_full_disk_has_no_room_and_that_is_no_error(tmp_path, monkeypatch):
    with database(tmp_path) as db:
        begin(db)
        for number in range(3):
            put(db, value=number)
            pack_database(db)  # whose file has none
            with monkeypatch.context() as patch:
                fail_once(patch, room, "write_at")
                put(db, value=number)
            assert size_of(tmp_path) == db.storage.getSize()
            put(db, value=number)
            assert size_of(tmp_path) > db.storage.getSize()
    with database(tmp_path) as db:
        assert get(db, "value") == 2


def test_a_write_in_the_room_that_fails_takes_the_commit_back(tmp_path, monkeypatch):
    with database(tmp_path) as db:
        begin(db)
        put(db, value=1)
        with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output"):
            fail_once(patch, room, "write_at")
            put(db, value=2)
        assert size_of(tmp_path) == db.storage.getSize()
        put(db, other=3)
        assert (get(db, "value"), get(db, "other")) == (1, 3)
    with database(tmp_path) as db:
        assert (get(db, "value"), get(db, "other")) == (1, 3)


def test_a_transaction_that_is_aborted_after_its_vote_leaves_nothing_in_the_room(tmp_path, caplog):
    with database(tmp_path) as db:
        begin(db)
        put(db, value=1)

        class Refuses:
            def abort(self, transaction): ...

            tpc_begin = commit = tpc_finish = tpc_abort = abort

            def tpc_vote(self, transaction):
                raise RuntimeError("no")

            def sortKey(self):
                return "~"  # after the database

        manager = transaction.TransactionManager()
        with contextlib.closing(db.open(manager)) as connection:
            connection.root()["value"] = os.urandom(5000)
            manager.get().join(Refuses())
            with pytest.raises(RuntimeError, match="no"):
                manager.commit()
            manager.abort()
        put(db, other=2)
        db.storage.abandon()
    with database(tmp_path) as db:
        assert (get(db, "value"), get(db, "other")) == (1, 2)
    assert said(caplog) == []


def test_a_pack_ends_before_the_room_and_so_does_what_is_committed_meanwhile(tmp_path):
    with database(tmp_path) as db:
        for number in range(50):
            put(db, value=number, blob=Blob(b"payload"))
        pack_database(db)
        assert get(db, "value") == 49
        put(db, value=50)
        put(db, value=51)
        assert size_of(tmp_path) > db.storage.getSize()
        oldest = db.lastTransaction()
        put(db, value=52)
        pack_database(db, oldest_tid=oldest)  # which copies the last one as it is
        assert get(db, "value") == 52
    with database(tmp_path) as db:
        assert get(db, "value") == 52


def test_readers_beside_see_each_commit_and_no_room(tmp_path):
    with LOTDB(tmp_path) as db, LOTDB(tmp_path, read_only=True) as reader:
        root, seen = db.open_connection(), reader.open_connection()
        for number in range(200):
            root.get_node("n").attrs["value"] = number if number % 50 else "x" * 50_000
            db.commit()
            reader.refresh()
            assert seen["n"].attrs["value"] == root["n"].attrs["value"]
            if number % 60 == 59:
                db.pack()
        assert [*reader.verify()] == [*db.verify()] == []
        assert len([*db.history()]) == len([*reader.history()])


def test_a_commit_behind_the_room_is_no_damage_to_a_reader_that_has_just_looked(tmp_path, monkeypatch):
    with database(tmp_path) as db, contextlib.closing(open_storage(tmp_path, read_only=True)) as reader:
        begin(db)
        put(db, value=2)
        asked = following.last_acknowledged

        def last_acknowledged(data_file):
            put(db, value="x" * 2 * size_of(tmp_path))
            return asked(data_file)

        monkeypatch.setattr(following, "last_acknowledged", last_acknowledged)
        reader.follow()
        assert reader.lastTransaction() == db.lastTransaction()


def test_a_backup_and_a_salvage_have_no_room(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        root = db.open_connection()
        for number in range(20):
            root.get_node("n").attrs["value"] = number
            db.commit()
        db.backup(tmp_path / "backup")
        size = db._storage._opened.getSize()
        shutil.copytree(tmp_path / "db", tmp_path / "copy")  # as a kill would leave it
    assert size_of(tmp_path / "backup") == size < size_of(tmp_path / "copy")
    result = salvage(tmp_path / "copy", tmp_path / "saved")
    assert not result.unreadable
    with LOTDB(tmp_path / "saved") as db, db.connection() as root:
        assert root["n"].attrs["value"] == 19
