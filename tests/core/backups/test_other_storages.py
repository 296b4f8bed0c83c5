"""A backup of a database in any storage is a folder that opens, and again copies what is new."""

import numpy as np
import pytest
from tests.core.backups.conftest import fill, state, state_of
from ZODB.FileStorage import FileStorage
from ZODB.MappingStorage import MappingStorage

from lotdb import LOTDB, DatabaseExistsError, Plugins, Storage, hookimpl


class Plain(Storage):
    """ZODB's own storage, which knows nothing of checksums."""

    name = "plain"

    def open(self):
        folder = self.context.folder / f"{self.context.name}.plain"
        folder.mkdir(parents=True, exist_ok=True)
        return FileStorage(str(folder / "data.fs"), read_only=self.context.read_only)

    def pack(self, keep, references):
        self.opened.pack(2**33, references)

    def tree_bytes(self):
        return 0


class Served(Plain):
    """One that is named by a URL."""

    name = "served"
    marks_folder = False

    def open(self):
        return MappingStorage()


@pytest.fixture
def plugins():
    class Plugin:
        @hookimpl
        def lotdb_get_storage(self, name):
            return {"plain": Plain, "served": Served}.get(name)

    plugins = Plugins()
    plugins.register(Plugin(), name="plain storage")
    return plugins


@pytest.fixture
def source(tmp_path, plugins):
    with LOTDB(tmp_path / "source", storage="plain", plugins=plugins) as db:
        fill(db, range(5))
        yield db


def test_a_backup_is_a_folder_that_opens_and_is_gone_on_with(source, tmp_path):
    copy = tmp_path / "copy"
    assert source.backup(copy, verify=True).anew
    assert state_of(copy) == state(source)
    fill(source, [6, 7])
    report = source.backup(copy)
    assert (report.anew, report.commits, report.payload_files) == (False, 2, 4)
    assert report.commit == source.last_commit
    assert state_of(copy) == state(source)
    assert source.backup(copy).commits == 0


def test_earlier_moments_are_in_the_copy(source, tmp_path):
    with source.connection() as root:
        root["group0/node0"].write_data(np.arange(3.0))
    source.backup(tmp_path / "copy")
    with LOTDB(tmp_path / "copy") as db:
        assert len({tid for _, tid, _ in db._storage.records()}) == 8


def test_after_a_pack_only_what_is_new_is_copied(source, tmp_path):
    copy = tmp_path / "copy"
    source.backup(copy)
    with source.connection() as root:
        del root["group1"]
    source.pack()
    fill(source, [9])
    assert not source.backup(copy).anew
    assert state_of(copy) == state(source)


def test_a_pack_that_went_through_new_commits_leaves_no_state_between(source, tmp_path):
    copy = tmp_path / "copy"
    source.backup(copy)
    fill(source, [6, 7, 6])
    with source.connection() as root:
        del root["group1"]
    source.pack()
    report = source.backup(copy)
    assert not report.anew
    assert state_of(copy) == state(source)
    fill(source, [8])
    source.backup(copy)
    assert state_of(copy) == state(source)


def test_the_notes_of_commits_are_copied(source, tmp_path):
    with source.connection(note="before the backup") as root:
        root.attrs["one"] = 1
    source.backup(tmp_path / "copy")
    with source.connection(note="after it") as root:
        root.attrs["two"] = 2
    source.backup(tmp_path / "copy")
    with LOTDB(tmp_path / "copy", read_only=True) as copy:
        notes = [commit.note for commit in copy.history(limit=3)]
    assert notes == ["after it", "before the backup", ""]


def test_a_copy_that_was_changed_is_left_alone(source, tmp_path):
    copy = tmp_path / "copy"
    source.backup(copy)
    with LOTDB(copy) as db, db.connection() as root:
        root.attrs["mine"] = 1
    with pytest.raises(DatabaseExistsError):
        source.backup(copy)
    fill(source, [6])
    with pytest.raises(DatabaseExistsError, match="changed since"):
        source.backup(copy)


def test_the_place_of_payloads_is_not_that_of_the_copy(source, tmp_path):
    connection = source._zodb.open()
    connection.root()["payloads"] = "s3://bucket/prefix"
    connection.transaction_manager.commit()
    connection.close()
    source.backup(tmp_path / "copy")
    assert state_of(tmp_path / "copy") == state(source)


def test_a_database_with_a_url_is_copied_to_a_folder_below_the_working_directory(
    tmp_path, monkeypatch, plugins
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lotdb.fs.other").mkdir()
    (tmp_path / "lotdb.fs.other" / "file").write_text("of another database")
    with LOTDB("served://here", payloads="arrays", plugins=plugins) as db:
        fill(db, range(3))
        db.backup("copy")
        assert state_of("copy") == state(db)
        fill(db, [4])
        assert db.backup("copy").commits == 1
        assert state_of("copy") == state(db)
    assert not (tmp_path / "copy" / "lotdb.fs.other").exists()
