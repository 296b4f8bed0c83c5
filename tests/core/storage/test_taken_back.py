"""A database that is taken back, because it was made for nothing: nothing of anybody else goes with it."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import zc.lockfile

from lotdb import LOTDB, DatabaseBusyError
from lotdb.storage.unmake import Unmade

MAKE = """
import sys
from lotdb import LOTDB
with LOTDB(sys.argv[1]) as db, db.connection() as root:
    root.get_node("a")
"""


@pytest.fixture
def made_meanwhile(tmp_path, monkeypatch):
    """A folder in which another process makes a database, while this one is about to make it."""
    folder = tmp_path / "db"

    class Slow(Unmade):
        def __init__(self, place):
            super().__init__(place)
            subprocess.run([sys.executable, "-c", MAKE, folder], check=True, timeout=60)

    monkeypatch.setattr("lotdb.database.Unmade", Slow)
    return folder


@pytest.mark.slow
def test_a_database_that_another_process_has_made_meanwhile_stays(made_meanwhile, monkeypatch):
    with LOTDB(made_meanwhile) as db:
        assert not db.discard()
    monkeypatch.undo()
    with LOTDB(made_meanwhile, read_only=True) as db, db.connection() as root:
        assert "a" in root


def test_it_stays_if_ctrl_c_ends_its_opening(made_meanwhile, monkeypatch):
    hold = LOTDB._hold_snapshots

    def interrupted(self):
        hold(self)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(LOTDB, "_hold_snapshots", interrupted)
    with pytest.raises(KeyboardInterrupt):
        LOTDB(made_meanwhile)
    monkeypatch.undo()
    with LOTDB(made_meanwhile, read_only=True) as db, db.connection() as root:
        assert "a" in root


def test_files_of_a_user_stay_whatever_their_names(tmp_path):
    for end in ("copy", "copy.new", "copy.whole", "backup.new", "pack", "notes"):
        (tmp_path / f"lotdb.fs.{end}").write_text("mine")
    db = LOTDB(tmp_path)
    os.mkdir(tmp_path / "lotdb.fs.results")
    (tmp_path / "lotdb.fs.results" / "a").write_text("mine")
    db.open_connection().get_data_node("a").write_data(np.zeros(200_000), backend="zarr")
    assert (tmp_path / "lotdb.fs.zarr").is_dir()
    assert db.discard()
    assert sorted(os.listdir(tmp_path)) == [
        "lotdb.fs.backup.new", "lotdb.fs.copy", "lotdb.fs.copy.new", "lotdb.fs.copy.whole", "lotdb.fs.notes",
        "lotdb.fs.pack", "lotdb.fs.results",
    ]  # fmt: skip
    assert (tmp_path / "lotdb.fs.copy").read_text() == "mine"
    assert (tmp_path / "lotdb.fs.results" / "a").read_text() == "mine"


def test_a_lock_that_was_removed_before_it_was_taken_is_none(tmp_path, monkeypatch):
    lock = zc.lockfile._lock_file
    removed = []

    def late(file):
        lock(file)
        if not removed:  # as who takes a database back does, before this process has the lock
            removed.append(file.name)
            os.remove(file.name)

    monkeypatch.setattr("zc.lockfile._lock_file", late)
    with pytest.raises(DatabaseBusyError):
        LOTDB(tmp_path)
    removed.clear()
    with LOTDB(tmp_path, timeout=60), pytest.raises(DatabaseBusyError):
        LOTDB(tmp_path)
    assert len(removed) == 1
