"""A database on a system that lacks what only Unix has, played by taking it away."""

import os
import subprocess
import sys

import numpy as np

from lotdb import LOTDB

# As on Windows: no call reads at a place, no flag refuses links, no lock is shared, no folder is opened, and
# nothing is synced that was opened for reading.
LESS = """
import fcntl, os, stat, sys
import zc.lockfile  # has a way of its own

for name in ("pread", "preadv", "pwrite", "pwritev", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY",
             "fork", "register_at_fork", "fdatasync"):
    if hasattr(os, name):
        delattr(os, name)
getfl, O_ACCMODE, F_GETFL = fcntl.fcntl, os.O_ACCMODE, fcntl.F_GETFL
sys.modules["fcntl"] = None
opened, synced = os.open, os.fsync

def open_no_folder(path, flags, *args, **kwargs):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return opened(path, flags, *args, **kwargs)

def sync_what_is_written(descriptor):
    number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
    if getfl(number, F_GETFL) & O_ACCMODE == os.O_RDONLY:
        raise OSError(9, "Bad file descriptor")
    synced(number)

os.open, os.fsync = open_no_folder, sync_what_is_written
import lotdb.storage.syncing
lotdb.storage.syncing._WINDOWS = True
"""

USES = """
import gc, threading
import numpy as np
from lotdb import LOTDB, DamagedError
from lotdb.storage.reading import ReadFile

def filled(root, round):
    for number in range(100):
        root.get_node(str(number)).attrs["v"] = [round, number]
    for backend in ("blob", "zarr"):
        node = root.get_data_node(backend)
        node.write_data(np.arange(200_000.0) + round, backend=backend, samplerate_hz=1000)

def right(root, round):
    assert [root[str(n)].attrs["v"] for n in range(100)] == [[round, n] for n in range(100)]
    for backend in ("blob", "zarr"):
        assert root[backend].read_seconds(1, 2)[0] == 1000 + round
        np.testing.assert_array_equal(root[backend].read_data(), np.arange(200_000.0) + round)

path = sys.argv[1]
with LOTDB(path) as db:
    assert type(db._zodb.storage._files) is not ReadFile
    with db.connection() as root:
        right(root, 0)
        filled(root, 1)
    with db.connection() as old:
        with db.connection() as root:
            filled(root, 2)
        right(old, 1)  # revisions of before: their headers are checked
    failed = []
    def read():
        try:
            for _ in range(2):
                with db.connection() as root:
                    right(root, 2)
        except BaseException as error:
            failed.append(error)
    threads = [threading.Thread(target=read) for _ in range(2)]
    [thread.start() for thread in threads]
    assert db.verify() == []
    for round in range(5):
        with db.connection() as root:
            root.attrs["round"] = round
    [thread.join() for thread in threads]
    assert not failed, failed
    with LOTDB(path, read_only=True) as other, other.connection() as root:
        right(root, 2)
os.remove(path + "/lotdb.fs.index")
with LOTDB(path) as db, db.connection() as root:
    right(root, 2)
    assert root.attrs["round"] == 4
with LOTDB(path) as db:
    db.pack()
    assert db.verify() == []
os.remove(path + "/lotdb.fs.end")
with LOTDB(path) as db, db.connection() as root:  # makes a watermark anew
    right(root, 2)
with LOTDB(path + " new") as db, db.connection() as root:
    filled(root, 0)
for part in ("lotdb.fs", "lotdb.fs.end", "lotdb.fs.lotdb", "lotdb.fs.readers", "lotdb.fs.index"):
    os.rename(path + "/" + part, path + "/away")
    os.symlink(path + "/away", path + "/" + part)
    for read_only in (True, False):
        try:
            LOTDB(path, read_only=read_only)
        except DamagedError as error:
            assert part in str(error)
        else:
            raise AssertionError(part)
    os.replace(path + "/away", path + "/" + part)
with LOTDB(path) as db, db.connection() as root:
    right(root, 2)
"""


def fill(root):
    for number in range(100):
        root.get_node(str(number)).attrs["v"] = [0, number]
    for backend in ("blob", "zarr"):
        root.get_data_node(backend).write_data(np.arange(200_000.0), backend=backend, samplerate_hz=1000)


def test_a_database_works_without_what_only_unix_has(tmp_path):
    path = str(tmp_path / "db")
    with LOTDB(path) as db, db.connection() as root:
        fill(root)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LESS + USES, path], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    with LOTDB(path) as db:
        assert db.verify() == []
        with db.connection() as root:
            np.testing.assert_array_equal(root["zarr"].read_data(), np.arange(200_000.0) + 2)
            assert root["7"].attrs["v"] == [2, 7]


def test_reading_at_a_place_leaves_the_place_of_the_file_alone(tmp_path):
    from lotdb.storage import places

    (tmp_path / "file").write_bytes(b"0123456789")
    with open(tmp_path / "file", "r+b", buffering=0) as file:
        file.seek(3)
        assert places._seek_and_read(file.fileno(), 4, 5) == b"5678" == places.read_at(file.fileno(), 4, 5)
        assert places._seek_and_read(file.fileno(), 4, 8) == b"89"
        assert (
            places._seek_and_write(file.fileno(), b"ab", 7) == 2 == places.write_at(file.fileno(), b"ab", 7)
        )
        assert file.tell() == 3
    assert (tmp_path / "file").read_bytes() == b"0123456ab9"
    assert os.path.getsize(tmp_path / "file") == 10
