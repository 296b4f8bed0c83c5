"""A reader that stands still for an hour, while others commit, pack and sweep; the hour passes by itself."""

import itertools
import os
import subprocess
import time

import numpy as np
import pytest
from tests.services import forked

from lotdb import LOTDB, Backend, ObjectStore

pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")

HOUR_S = 3600
ROUNDS = 4

# Says what it sees whenever it is asked to; "next" begins its next transaction first.
READER = """
import sys
from lotdb import LOTDB
db = LOTDB(sys.argv[1], read_only=True)
root = db.open_connection()
for line in sys.stdin:
    if line.strip() == "next":
        db.refresh()
    seen = [root.attrs["number"], len(root["many"])]
    for node in ("blob", "zarr"):
        seen.append(float(root[node].read_data().sum()))
    print(*seen, flush=True)
"""


@pytest.fixture
def clock(monkeypatch):
    """Moves the clocks that ages are told by, of this process and of stores, on by so many seconds."""
    gone = [0.0]
    real, of_folders, of_stores = time.time, Backend.now, ObjectStore.now
    monkeypatch.setattr(time, "time", lambda: real() + gone[0])
    monkeypatch.setattr(Backend, "now", lambda self: of_folders(self) + gone[0])
    monkeypatch.setattr(ObjectStore, "now", lambda self: of_stores(self) + gone[0])

    def move(seconds, folder=None):
        gone[0] += seconds
        for path in () if folder is None else folder.rglob("*"):  # the clock of a disk cannot be moved
            if path.is_dir() or path.suffix == ".npy":
                at = path.stat().st_mtime - seconds
                os.utime(path, (at, at))

    return move


SLOW = [pytest.param(f"postgresql{more}", marks=pytest.mark.slow) for more in ("", " and a store")]


@pytest.fixture(params=["file", "sqlite", *SLOW])
def place(request, tmp_path):
    """How a database is opened, and by which name a reader opens it."""
    if not request.param.startswith("postgresql"):
        return tmp_path / "db", {"storage": request.param}
    pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")
    url = request.getfixturevalue("postgresql_url")
    if request.param == "postgresql":
        return url, {"payloads": tmp_path / "payloads"}
    pytest.importorskip("obstore", reason="the extra lotdb-backend-blob[s3] is not installed")
    return url, {"payloads": request.getfixturevalue("s3_bucket")}


def change(db, number):
    with db.connection() as root:
        root.attrs["number"] = number
        for backend in ("blob", "zarr"):
            root.get_data_node(backend).replace_data(np.full(30_000, number), backend=backend)
        for each in range(number + 1):
            root.get_node("many").get_node(f"{each}").attrs["number"] = number


def seen(number):
    return f"{number} {number + 1} {30_000.0 * number} {30_000.0 * number}"


def test_a_reader_that_stands_still_sees_what_it_saw(place, clock, tmp_path):
    path, options = place
    with LOTDB(path, new=True, **options) as db, LOTDB(path, read_only=True) as beside:
        change(db, 0)
        held = beside.open_connection()
        how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "needs": ["lotdb_backend_zarr.backend"]}
        with forked.Popen(["-c", READER, path], text=True, **how) as reader:

            def ask(what):
                reader.stdin.write(f"{what}\n")
                reader.stdin.flush()
                return reader.stdout.readline().strip()

            beside.abort()
            assert ask("look") == seen(held.attrs["number"]) == seen(0)
            for number in range(1, ROUNDS + 1):
                change(db, number)
                clock(HOUR_S / ROUNDS + 60, tmp_path)
                db.pack()
                assert ask("look") == seen(0)
            assert held["zarr"].read_data()[0] == held.attrs["number"] == 0
            stored = _stored(db)
            assert ask("next") == seen(ROUNDS)
            beside.abort()
            assert held["blob"].read_data()[0] == ROUNDS
            clock(2 * HOUR_S, tmp_path)
            db.pack()
            assert len(_stored(db)) < len(stored)  # now it was given back
            assert ask("look") == seen(ROUNDS)
            assert db.verify() == []
            reader.stdin.close()
            assert reader.wait(60) == 0


def _stored(db):
    """What there is of arrays, needed or not."""
    backends = [db._backends(name) for name in ("blob", "zarr")]
    blobs = [path for _, _, path in db._storage.blob_files()]
    return [*itertools.chain(*(each.locators() for each in backends)), *blobs]
