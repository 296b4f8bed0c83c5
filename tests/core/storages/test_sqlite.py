"""The storage in SQLite's files: what is particular to it."""

import contextlib
import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.services import forked

from lotdb import (
    LOTDB,
    CommitInDoubtError,
    ConflictError,
    DamagedError,
    DatabaseBusyError,
    DatabaseExistsError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    FileSystemError,
    MissingPluginError,
    ReadOnlyError,
    WaitTimeoutError,
    WrongThreadError,
)
from lotdb.storage.folder import marked_storage
from lotdb.storage.turns import Turn

relstorage = pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")


@pytest.fixture
def filled(opening, folder):
    """The folder of a closed database with two nodes."""
    with opening() as db:
        for number in range(3):
            with db.connection() as root:
                root.get_node("a").attrs["number"] = number
                root.get_data_node("b").write_data(np.arange(10.0))
    return folder


def main_file(folder):
    return folder / "lotdb.fs.sqlite" / "main.sqlite3"


def execute(folder, *statements):
    with contextlib.closing(sqlite3.connect(main_file(folder))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def put(connection, zoid, tid, state):
    connection.execute("UPDATE object_state SET state = ? WHERE zoid = ? AND tid = ?", (state, zoid, tid))


def test_the_folder_says_that_it_is_in_sqlite(filled, opening):
    with opening(storage=None) as db, db.connection() as root:
        assert root["a"].attrs["number"] == 2
        assert db.path == filled
        assert repr(db) == f"<LOTDB '{filled}/lotdb.fs'>"
    with pytest.raises(DatabaseExistsError):
        opening(new=True)


def test_a_library_that_is_missing_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "relstorage", None)
    with pytest.raises(MissingPluginError, match=r'sqlite.* needs .*pip install "lotdb-core\[sqlite\]"'):
        LOTDB(tmp_path / "new", storage="sqlite")


def test_commits_of_another_process_are_seen_at_the_next_transaction(opening):
    with opening() as one, opening() as other, opening(read_only=True) as reader:
        seen = reader.open_connection()
        for number in range(20):
            with one.connection() as root:
                root.attrs["number"] = number
            for db in (other, reader):
                with db.connection() as root:
                    assert root.attrs["number"] == number
                assert db.last_commit == one.last_commit
            assert seen.attrs.get("number") == (number - 1 if number else None)
            reader.refresh()
            assert seen.attrs["number"] == number


def test_a_dependency_that_changes_just_before_the_commit_is_a_conflict(opening, monkeypatch):
    """The database is locked before it is looked at."""
    from lotdb.storages.sqlite_adapter import SqliteAdapter

    with opening() as one, opening() as other:
        with one.connection() as root:
            root.get_node_path("a/b")
        root = one.open_connection()
        root["a/b"].attrs["value"] = 1
        lock = SqliteAdapter._best_lock_objects_and_detect_conflicts

        def delete_first(self, cursor, oids):
            monkeypatch.setattr(SqliteAdapter, "_best_lock_objects_and_detect_conflicts", lock)
            with other.connection() as root:
                root["a"].delete_tree()
            return lock(self, cursor, oids)

        monkeypatch.setattr(SqliteAdapter, "_best_lock_objects_and_detect_conflicts", delete_first)
        with pytest.raises(ConflictError):
            one.commit()
        one.abort()
        assert "a" not in root


def test_what_is_missing_is_damage_and_is_not_made_anew(filled, opening):
    away = filled / "away"
    main_file(filled).rename(away)
    for options in ({}, {"read_only": True}, {"storage": None}):
        with pytest.raises(DamagedError, match=r"main\.sqlite3 is missing"):
            opening(**options)
    shutil.move(filled / "lotdb.fs.sqlite", filled / "elsewhere")
    with pytest.raises(DamagedError, match=r"main\.sqlite3 is missing"):
        opening()
    assert not (filled / "lotdb.fs.sqlite").exists()
    shutil.move(filled / "elsewhere", filled / "lotdb.fs.sqlite")
    away.rename(main_file(filled))
    with opening() as db, db.connection() as root:
        assert root["a"].attrs["number"] == 2


@pytest.mark.parametrize("content", [b"", b"SQLite", b"something else" * 1000])
def test_a_file_that_is_none_of_sqlites_is_damage(filled, opening, content):
    before = main_file(filled).read_bytes()
    main_file(filled).write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(DamagedError, match=r"main\.sqlite3"):
            opening(read_only=read_only)
    assert main_file(filled).read_bytes() == content
    main_file(filled).write_bytes(before)
    opening().close()


def test_a_database_of_another_program_is_refused(filled, opening):
    main_file(filled).unlink()
    execute(filled, "CREATE TABLE something (value)")
    with pytest.raises(DatabaseFormatError, match="does not have the tables"):
        opening()


def test_an_emptied_database_is_not_filled_anew(filled, opening):
    execute(filled, "DELETE FROM current_object", "DELETE FROM object_state")
    execute(filled, 'DELETE FROM "transaction" WHERE tid > 0')
    with pytest.raises(DamagedError, match="no root"):
        opening()


def test_triggers_of_strangers_are_refused(filled, opening):
    execute(filled, "CREATE TRIGGER t AFTER INSERT ON object_state BEGIN DELETE FROM current_object; END")
    with pytest.raises(DatabaseFormatError, match=r"has triggers \(t\)"):
        opening()


@pytest.mark.parametrize("name", ["main.sqlite3", "main.sqlite3-wal", "turn", "numbers"])
def test_a_link_in_place_of_a_part_is_refused(filled, opening, name, tmp_path):
    part = main_file(filled).with_name(name)
    target = tmp_path / "target"
    if part.exists():
        part.rename(target)
    part.symlink_to(target)
    with pytest.raises(DamagedError, match=f"{name}.*link"):
        opening()


def test_a_record_that_was_altered_is_noticed(filled, opening):
    with contextlib.closing(sqlite3.connect(main_file(filled))) as connection:
        rows = connection.execute("SELECT zoid, tid, state FROM object_state").fetchall()
        zoid, tid, state = next(row for row in rows if b"number" in row[2])
        for at in range(0, len(state), 19):
            wrong = state[:at] + bytes([state[at] ^ 4]) + state[at + 1 :]
            connection.execute("UPDATE object_state SET state = ? WHERE zoid = ?", (wrong, zoid))
            connection.commit()
            with opening() as db:
                with pytest.raises(DamagedError), db.connection() as root:
                    root["a"].attrs["number"]
                    root.get_data_node("b").read_data()
                with pytest.raises(DamagedError):
                    db.pack()
                assert db.verify()
            put(connection, zoid, tid, state)
        connection.commit()


def test_a_pack_of_a_deep_tree_does_not_collect_garbage_for_each_level(opening, monkeypatch):
    """Which took a hundred times as long as all else."""
    collected = []
    with opening() as db:
        with db.connection() as root:
            root.get_node_path([f"k{number}" for number in range(100)]).attrs["number"] = 1
        db.pack()
        with db.connection() as root:
            root["k0"].attrs["number"] = 2
        gc.callbacks.append(lambda phase, about: collected.append(about["generation"]))
        try:
            db.pack()
        finally:
            gc.callbacks.pop()
    assert collected.count(2) < 10


def test_records_that_changed_places_are_noticed(filled, opening):
    with contextlib.closing(sqlite3.connect(main_file(filled))) as connection:
        rows = connection.execute("SELECT * FROM current_object_state ORDER BY zoid").fetchall()
        (one, at, first), (other, when, second) = rows[1:3]
        for zoid, tid, state in ((one, at, second), (other, when, first)):
            put(connection, zoid, tid, state)
        connection.commit()
    with opening() as db:
        assert any("not the ones that were stored" in each.reason for each in db.verify())


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE object_state SET tid = tid + 1 WHERE zoid = 1", "belong to no transaction"),
        ("DELETE FROM current_object WHERE zoid = 1", "are of objects that are not listed"),
        ("DELETE FROM object_state WHERE zoid = 1", "the last record is not there"),
    ],
)
def test_verify_says_where_tables_do_not_fit_together(filled, opening, statement, says):
    execute(filled, "PRAGMA foreign_keys = 0", statement)
    with opening() as db:
        assert any(says in each.reason for each in db.verify())
        with pytest.raises(DamagedError):
            db.pack()


def test_a_damaged_page_is_said(filled, opening):
    content = bytearray(main_file(filled).read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 8] = b"\xff" * 8
    main_file(filled).write_bytes(content)
    with pytest.raises(DamagedError, match=r"main\.sqlite3"), opening() as db, db.connection() as root:
        root["a"].attrs["number"]


def test_a_class_of_a_strangers_record_is_not_loaded(filled, opening):
    from ZODB.utils import p64

    from lotdb import UnsafeRecordError
    from lotdb.storage.sealing import seal_object

    record = seal_object(b"cos\nsystem\n.(U\x04truetR.", p64(1))
    with contextlib.closing(sqlite3.connect(main_file(filled))) as connection:
        connection.execute("UPDATE object_state SET state = ? WHERE zoid = 1", (record,))
        connection.commit()
    with opening() as db:
        root = db.open_connection()
        with pytest.raises(UnsafeRecordError, match=r"os\.system"):
            list(root)


def test_a_full_disk_stores_nothing_and_says_so(opening):
    with opening() as db:
        with db.connection() as root:
            root.attrs["value"] = 1
        root = db.open_connection()
        limit(db)
        root.attrs["value"] = "x" * 900_000
        with pytest.raises(FileSystemError) as failed:
            db.commit()
        assert failed.value.errno == 28
        assert "main.sqlite3" in str(failed.value)
        db.abort()
        assert root.attrs["value"] == 1
        limit(db, 1 << 30)
        root.attrs["value"] = 2
        db.commit()
    with opening() as db, db.connection() as root:
        assert root.attrs["value"] == 2
        assert db.verify() == []


def limit(db, pages=None):
    """Let SQLite's file have no more than so many pages, for the connections that there are."""
    from relstorage.adapters.sqlite.drivers import Connection

    for connection in [each for each in everything(Connection) if not each._rs_has_closed]:
        now = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages or now}").fetchall()


def everything(cls):
    import gc

    return [each for each in gc.get_objects() if isinstance(each, cls)]


def test_a_commit_whose_end_is_not_known_is_in_doubt(opening, monkeypatch):
    from relstorage.adapters.sqlite.drivers import Connection

    commit = Connection.commit
    failing = []

    def fail_after_commit(self):
        commit(self)
        if failing:
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Connection, "commit", fail_after_commit)
    db = opening()
    with db.connection() as root:
        root.attrs["value"] = 1
    root = db.open_connection()
    root.attrs["value"] = 2
    failing.append(True)
    with pytest.raises(CommitInDoubtError, match="may or may not be in") as failed:
        db.commit()
    failing.clear()
    assert failed.value.filename == str(db.path / "lotdb.fs")
    with pytest.raises(CommitInDoubtError):
        db.open_connection()
    db.close()
    del failed, root, db
    with warnings.catch_warnings():
        # RelStorage leaves the connection whose commit has failed to the collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    with opening() as db, db.connection() as root:
        assert root.attrs["value"] == 2  # this time it is


def test_a_commit_waits_for_another_one_and_not_for_ever(opening, monkeypatch):
    monkeypatch.setattr("lotdb.storages.sqlite._COMMIT_S", 0.2)
    with opening() as db:
        root = db.open_connection()
        root.attrs["value"] = 1
        turn = Turn(str(db.path / "lotdb.fs.sqlite" / "turn"), "")
        with turn.held(), pytest.raises(WaitTimeoutError, match="other commits"):
            db.commit()
        turn.close()
        root.attrs["value"] = 2
        db.commit()


def test_two_packs_do_not_run_at_once(opening):
    with opening() as one, opening() as other:
        with one.connection() as root:
            root.attrs["value"] = 1
        with one._storage.announcing_pack(), pytest.raises(DatabaseBusyError, match="is being packed"):
            other.pack()
        other.pack()


def test_a_moment_is_there_until_a_pack_goes_through_it(opening):
    with opening() as db, opening() as other:
        commits = []
        for number in range(4):
            with db.connection() as root:
                root.attrs["number"] = number
            commits.append(bytes.fromhex(db.last_commit))
        assert all(map(db._storage.has_moment, commits))
        other._storage.hold(commits[1])
        db.pack()
        assert [db._storage.has_moment(each) for each in commits] == [False, True, True, True]
        other._storage.hold(None)
        db.pack()
        assert [other._storage.has_moment(each) for each in commits] == [False, False, False, True]
        db.pack()
        assert other._storage.has_moment(commits[3])


def test_a_creation_that_was_cut_short_is_begun_again(opening, folder):
    (folder / "lotdb.fs.sqlite" / "new").mkdir(parents=True)
    (folder / "lotdb.fs.sqlite" / "new" / "main.sqlite3").write_bytes(b"half")
    with pytest.raises(DatabaseNotFoundError):
        opening(read_only=True)
    with opening() as db, db.connection() as root:
        root.get_node("a")
    (folder / "lotdb.fs.lotdb").unlink()  # it was all there, but for the marker
    with opening() as db, db.connection() as root:
        assert "a" in root
    assert (folder / "lotdb.fs.lotdb").exists()


def test_processes_that_create_it_at_once_find_one_database(folder):
    code = f"""
        from lotdb import LOTDB
        with LOTDB({str(folder)!r}, storage="sqlite", timeout=60, durability="process") as db:
            db.run(lambda root: root.attrs.update(count=root.attrs.get("count", 0) + 1), attempts=100)
            print(db.id)
    """
    run = ["-c", textwrap.dedent(code)]
    processes = [forked.Popen(run, stdout=subprocess.PIPE, needs=["relstorage.storage"]) for _ in range(2)]
    ids = {process.communicate(timeout=120)[0] for process in processes}
    assert len(ids) == 1
    assert [process.returncode for process in processes] == [0, 0]
    with LOTDB(folder) as db, db.connection() as root:
        assert root.attrs["count"] == 2


def test_one_that_another_process_makes_meanwhile_is_opened(opening, monkeypatch):
    with opening() as db, db.connection() as root:
        root.get_node("a")
    found = [None]  # the marker was looked for before it was there

    def marked(path):
        return found.pop() if found else marked_storage(path)

    monkeypatch.setattr("lotdb.database.choosing.marked_storage", marked)
    with opening() as db, db.connection() as root:
        assert "a" in root
    assert not found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_is_refused_and_does_no_harm(opening):
    with opening() as db:
        root = db.open_connection()
        root.attrs["value"] = 1
        child = os.fork()
        if child == 0:
            wrong = 1
            try:
                for use in (db.commit, db.open_connection, lambda: root.attrs["value"]):
                    with pytest.raises(WrongThreadError, match="forked"):
                        use()
                with opening() as own, own.connection() as mine:
                    mine.attrs["of the child"] = 2
                wrong = 0
            finally:
                os._exit(wrong)
        assert os.waitpid(child, 0)[1] == 0
        db.run(lambda root: root.attrs.update({"of the parent": 3}))
        with db.connection() as seen:
            assert dict(seen.attrs) == {"of the child": 2, "of the parent": 3}
    with opening() as db:
        assert db.verify() == []


def test_a_connection_belongs_to_its_thread(opening):
    failed = []
    with opening() as db:
        root = db.open_connection()
        root.attrs["value"] = 1

        def use():
            try:
                root.attrs["value"]
            except WrongThreadError as error:
                failed.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert len(failed) == 1


def test_nothing_is_changed_read_only(filled, opening):
    with opening(read_only=True) as db:
        for use in (db.pack, lambda: db.open_connection().get_node("c")):
            with pytest.raises(ReadOnlyError):
                use()
        assert db.verify() == []


def test_a_pack_gives_space_back(opening):
    with opening() as db:
        for number in range(20):
            with db.connection() as root:
                root.attrs["text"] = f"{number}" * 400_000
        before = db.stats()
        assert before.free_tree_bytes > 5_000_000
        db.pack()
        after = db.stats()
        assert after.free_tree_bytes == 0
        assert after.tree_bytes == before.tree_bytes
        assert after.parts["lotdb.fs.sqlite"] < before.parts["lotdb.fs.sqlite"] / 3
        assert db.verify() == []


def test_a_pack_beside_an_open_connection_writes_little_and_gives_space_back_with_the_next_commits(opening):
    with opening() as db:
        folder = Path(db._storage._folder)
        root = db.open_connection()
        for number in range(40):
            root.attrs["text"] = f"{number:02}" * 200_000
            db.commit()
        before = sum(each.stat().st_size for each in folder.iterdir())
        db.pack()
        written = (folder / "main.sqlite3-wal").stat().st_size  # the connection keeps it from being emptied
        assert written < before  # more than twice as much if pages are given back one by one
        for number in range(3):
            root.attrs["more"] = number
            db.commit()
        assert sum(each.stat().st_size for each in folder.iterdir()) < before / 2
        assert db.verify() == []


def test_an_earlier_moment_is_seen_and_keeps_no_transaction_open(opening):
    import transaction

    with opening() as db:
        commits = []
        for number in range(5):
            with db.connection() as root:
                root.attrs["number"] = number
            commits.append(bytes.fromhex(db.last_commit))
        for commit in commits[:-1]:
            manager = transaction.TransactionManager(explicit=True)
            connection = db._zodb.open(manager, at=commit)
            with manager:
                tree = connection.root()["tree"]
                assert "root" in tree
                assert connection._storage._start > commit
            connection.close()
        assert db.verify() == []


def test_numbers_of_objects_are_never_given_twice(filled, opening):
    numbers = main_file(filled).with_name("numbers")
    numbers.unlink()  # as a power cut may leave it
    with opening() as db:
        for number in range(40):
            with db.connection() as root:
                root.get_data_node(f"{number}").write_data(np.full(5, number))
        assert db.verify() == []
        with db.connection() as root:
            assert root["a"].attrs["number"] == 2
            assert root["b"].read_data()[9] == 9
