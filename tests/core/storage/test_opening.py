"""Creating and opening a database, and the folders that are refused."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from tests.core.storage.databases import NAME, blob_bytes, blob_files, database, get, pack_database, put
from ZODB import DB
from ZODB.blob import Blob
from ZODB.FileStorage import FileStorage

from lotdb.errors import (
    DamagedError,
    DatabaseExistsError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    InvalidOptionError,
    ReadOnlyError,
)
from lotdb.records import Box
from lotdb.storage import open_storage


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
    with pytest.raises(InvalidOptionError, match=r"path is .*use the path of a folder"):
        open_storage(path)


def test_a_path_that_is_a_file_is_told_from_the_name(tmp_path):
    (tmp_path / NAME).write_bytes(b"precious")
    with pytest.raises(InvalidOptionError, match=rf"path= takes the folder and name= the.*name={NAME!r}"):
        open_storage(tmp_path / NAME, "another.fs")
    with pytest.raises(InvalidOptionError, match="not a folder; use the path of one"):
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
