"""A pack knows before it begins how much room it needs, and refuses where there is too little."""

import errno
import logging
import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from torture.small_disk import fill_disk, give_back

from lotdb import LOTDB, FileSystemError
from lotdb.storage import packer
from lotdb.storage.states import outline

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path, durability="process") as db:
        for round_ in range(3):
            with db.connection() as root:
                for group in range(20):
                    node = root.get_node(f"g{group}")
                    for leaf in range(100):
                        node.get_node(f"n{leaf}").set_attribute("x", [round_, leaf])
                root.get_node("big").set_attribute("text", "x" * 2000)
        yield db


def files(folder):
    """All files of a folder and of those in it, with their sizes."""
    return {path: path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()}


def test_a_full_disk_is_told_before_anything_is_written(db, monkeypatch):
    before = files(db.path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 10_000))
    with pytest.raises(FileSystemError, match=r"needs \d+ bytes of free disk space.*10000 are free"):
        db.pack()
    assert files(db.path) == before
    with db.connection() as root:
        root.set_attribute("still", "writable")
    monkeypatch.undo()
    assert db.pack() > 0
    assert db.verify() == []


def test_a_real_disk_that_is_too_full(small_disk):
    disk = small_disk("size=4m")
    with LOTDB(disk / "db", durability="process") as db:
        for round_ in range(3):
            with db.connection() as root:
                for leaf in range(1000):
                    root.get_node(f"n{leaf}").set_attribute("x", f"{round_} {leaf:500}")
        before = files(db.path)
        fill_disk(disk, os.path.getsize(db._data_file) // 10)
        with pytest.raises(FileSystemError, match=r"needs \d+ bytes of free disk space") as told:
            db.pack()
        assert told.value.errno == errno.ENOSPC
        assert files(db.path) == before
        (needed,) = re.findall(r"needs (\d+)", str(told.value))
        give_back(disk)
        fill_disk(disk, int(needed) + 100_000)  # which the index takes, and whole pages
        assert db.pack() > 0
        assert db.verify() == []


def test_what_a_killed_pack_has_written_takes_no_room(db):
    """Neither after the next opening, nor while it is open."""
    folder, written = Path(db.path), Path(f"{db._data_file}.pack")
    listed = folder / "lotdb.fs.blobs" / ".removed"
    wanted = files(folder)

    def leave():
        written.write_bytes(bytes(100_000))
        listed.write_bytes(b"%s\n" % (b"00" * 16))

    leave()
    assert db.pack() > 0
    assert not written.exists()
    assert not listed.exists()
    leave()
    db.close()
    with LOTDB(folder, durability="process"):
        assert not written.exists()
        assert not listed.exists()
        assert set(files(folder)) == set(wanted)


def test_what_it_says_is_what_it_writes(db, caplog):
    caplog.set_level(logging.INFO, logger=packer.__name__)
    keep = next(iter(db.history())).id
    with db.connection() as root:
        root["g1/n1"].set_attribute("x", "later")
    for kept in (keep, None):
        caplog.clear()
        db.pack(keep=kept)
        (said,) = (record.args[1] for record in caplog.records)
        written = os.path.getsize(db._data_file)
        assert written * 0.98 - 5000 < said < written * 1.1 + 5000


def test_the_references_of_a_record_are_those_that_zodb_finds(db):
    count = 0
    for _, _, record in db._storage.records():
        assert outline(record)[2] == db._zodb.references(record)
        count += 1
    assert count > 60
    assert outline(b"no pickle") is None
    assert outline(b"}.") is None
