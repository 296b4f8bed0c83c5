"""The S3 server is killed among commits, and comes back with what it has acknowledged."""

import os
import threading

import numpy as np
import pytest

from lotdb import LOTDB, UnavailableError
from lotdb.interfaces import object_store

pytest.importorskip("obstore", reason="the extra lotdb-backend-blob[s3] is not installed")

KILLS = 2 * max(1, round(float(os.environ.get("LOTDB_KIT_EFFORT", "1"))))
ROWS = 6000


@pytest.fixture
def bucket(lasting_s3, monkeypatch):
    # Who waits for a server that is gone should not do so for long in a test.
    monkeypatch.setattr(object_store, "_RETRY", {**object_store._RETRY, "max_retries": 1})
    return f"s3://{lasting_s3.new_bucket()}/arrays"


class Writer(threading.Thread):
    """Commits arrays of both backends, one after another, and notes what was acknowledged."""

    def __init__(self, db):
        super().__init__(daemon=True)
        self.db = db
        self.acknowledged, self.errors = [], []
        self.may_go_on, self.is_over = threading.Event(), False
        self.progress = threading.Condition()

    def run(self):
        number = 0
        while not self.is_over:
            self.may_go_on.wait()
            number += 1
            try:
                with self.db.connection() as root:
                    root.attrs["last"] = number
                    for backend in ("blob", "zarr"):
                        node = root.get_data_node(f"{number}/{backend}")
                        node.write_data(np.full(ROWS, number), backend=backend)
            except Exception as error:
                self.errors.append(error)
                self.may_go_on.clear()  # until the server is back
            else:
                self.acknowledged.append(number)
            with self.progress:
                self.progress.notify_all()

    def wait(self, seen):
        """Wait until *seen* is true."""
        with self.progress:
            assert self.progress.wait_for(seen, 120)


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["file", "sqlite"])
def test_a_server_that_is_killed_has_all_that_was_acknowledged(lasting_s3, bucket, tmp_path, storage):
    rng = np.random.default_rng(KILLS)
    with LOTDB(tmp_path / "db", storage=storage, payloads=bucket, durability="process") as db:
        writer = Writer(db)
        writer.may_go_on.set()
        writer.start()
        reader = db.open_connection("reader")
        for kill in range(KILLS):
            done = len(writer.acknowledged) + int(rng.integers(3, 12))
            writer.wait(lambda done=done: len(writer.acknowledged) >= done)
            lasting_s3.kill()
            writer.wait(lambda kill=kill: len(writer.errors) > kill)
            db.abort("reader")
            assert reader.attrs["last"] == writer.acknowledged[-1]  # the tree is there without the store
            lasting_s3.start()
            writer.may_go_on.set()
        done = len(writer.acknowledged) + 3  # an open database goes on
        writer.wait(lambda: len(writer.acknowledged) >= done)
        writer.is_over = True
        writer.join(60)
        assert len(writer.errors) == KILLS
        for error in writer.errors:
            assert isinstance(error, UnavailableError)
            assert bucket in str(error)
    with LOTDB(tmp_path / "db") as db:
        assert db.verify() == []
        with db.connection() as root:
            assert sorted(map(int, root)) == writer.acknowledged  # and nothing of what has failed
            for number in writer.acknowledged:
                for node in root[f"{number}"].values():
                    assert (node.read_data() == np.full(ROWS, number)).all()
        db.pack(sweep_outside=True, grace_s=0)
        assert db.verify() == []
