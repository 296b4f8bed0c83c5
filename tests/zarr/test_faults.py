"""What happens to zarr's folder and store from outside, and to a write that is interrupted."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from zarr.storage import LocalStore

from lotdb import LOTDB, BaseNode, DamagedError, DataNode, ReadOnlyError

ROWS = np.arange(3_000_000, dtype="f8").reshape(-1, 2)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[LOTDB]:
    with LOTDB(tmp_path, default_backend="zarr") as db:
        yield db


def data_node(root: BaseNode, path: str) -> DataNode:
    return root.get_data_node(path)


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("lotdb.fs.zarr/seg-*"))


def test_an_interrupted_write_leaves_nothing_behind(db: LOTDB, tmp_path: Path) -> None:
    root = db.open_connection()
    node = data_node(root, "a")
    node.write_data(ROWS[:10])
    db.commit()
    before = segments(tmp_path)
    writing, hit = False, 0

    def interrupt(*_: object) -> None:
        # A signal that came before the write began, or after it ended, is no interrupted write.
        if writing:
            raise KeyboardInterrupt

    before_signal = signal.signal(signal.SIGINT, interrupt)
    try:
        for delay_s in np.linspace(0.002, 0.15, 12):
            timer = threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            try:
                writing = True
                while timer.is_alive():
                    node.write_data(ROWS)
                writing = False
            except KeyboardInterrupt:
                writing = False
                hit += 1
            timer.join()
            db.abort()
            # Nothing goes on in the background and makes files again.
            time.sleep(0.02)
            assert segments(tmp_path) == before
    finally:
        signal.signal(signal.SIGINT, before_signal)
    assert hit
    assert np.array_equal(node.read_data(), ROWS[:10])


def test_a_store_that_is_gone_is_damage_and_the_tree_still_opens(db: LOTDB, tmp_path: Path) -> None:
    with db.connection() as root:
        data_node(root, "a").write_data(ROWS)
        root["a"].set_attribute("label", "kept")
    shutil.rmtree(tmp_path / "lotdb.fs.zarr")
    with db.connection() as root:
        assert root["a"].get_attribute("label") == "kept"
        with pytest.raises(DamagedError, match=r"payload 'data' of node 'a'.*seg-.* is missing"):
            data_node(root, "a").read_data()
        data_node(root, "b").write_data(ROWS)  # and it can be written to again
    [damage] = db.verify()
    assert (damage.path, damage.name) == ("a", "data")


def test_a_read_only_store_is_said_at_the_call(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store = LocalStore(tmp_path / "store", read_only=True)
    with LOTDB(tmp_path / "db", backends={"zarr": {"store": store}}) as db:
        node = data_node(db.open_connection(), "a")
        with pytest.raises(ReadOnlyError, match="read-only"):
            node.write_data(ROWS, backend="zarr")
        assert not node.has_data()
        node.write_data(ROWS, backend="blob")
        db.commit()


def test_a_database_that_is_opened_for_reading_makes_no_store(tmp_path: Path) -> None:
    LOTDB(tmp_path).close()
    with LOTDB(tmp_path, read_only=True, default_backend="zarr") as db, db.connection() as root:
        assert len(root) == 0
    assert not (tmp_path / "lotdb.fs.zarr").exists()


def test_a_payload_moves_between_backends_and_back(db: LOTDB, tmp_path: Path) -> None:
    with db.connection() as root:
        node = data_node(root, "a")
        for start in range(0, 100_000, 10_000):
            node.append_data(ROWS[start : start + 10_000], backend="blob")
    for backend in ("zarr", "blob", "zarr"):
        with db.connection() as root:
            payload = data_node(root, "a").compact_data(backend=backend)
            assert payload.backend == backend
        with db.connection() as root:
            payload = data_node(root, "a").get_data()
            assert len(payload.segments()) == 1
            assert np.array_equal(payload, ROWS[:100_000])
    db.pack()
    assert len(segments(tmp_path)) == 1
    assert not list(tmp_path.glob("lotdb.fs.blobs/**/*.blob"))
