"""A folder that the disk cannot list, or look at, is an error, and is not taken for an empty one."""

import errno
import os

import numpy as np
import pytest

from lotdb import LOTDB, FileSystemError, restore, salvage


@pytest.fixture
def folder(tmp_path):
    with LOTDB(tmp_path / "db", default_backend="zarr", durability="process") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(9.0))
    return tmp_path / "db"


def failing(real, part):
    def call(path=".", *arguments, **named):
        if isinstance(path, str | os.PathLike) and part in os.fspath(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO), os.fspath(path))
        return real(path, *arguments, **named)

    return call


def test_a_backup_does_not_leave_out_arrays_whose_folder_cannot_be_listed(folder, tmp_path, monkeypatch):
    with LOTDB(folder, read_only=True) as db:
        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", failing(os.scandir, "seg-"))
            with pytest.raises(FileSystemError) as caught:
                db.backup(tmp_path / "copy")
            assert caught.value.errno == errno.EIO
        assert db.backup(tmp_path / "copy").missing == ()
    with LOTDB(tmp_path / "copy", read_only=True) as db:
        assert db.verify() == []


@pytest.mark.parametrize("use", ["backup", "restore", "salvage", "open"])
def test_a_place_that_cannot_be_looked_at_is_named(folder, tmp_path, monkeypatch, use):
    place = tmp_path / "new place"
    with LOTDB(folder, read_only=True) as db:
        uses = {
            "backup": lambda: db.backup(place),
            "restore": lambda: restore(folder, place),
            "salvage": lambda: salvage(folder, place),
            "open": lambda: LOTDB(place),
        }
        monkeypatch.setattr(os, "lstat", failing(os.lstat, "new place"))
        with pytest.raises(FileSystemError) as caught:
            uses[use]()
    assert caught.value.errno == errno.EIO
    assert "new place" in str(caught.value.filename)
    monkeypatch.undo()
    assert not place.exists()
