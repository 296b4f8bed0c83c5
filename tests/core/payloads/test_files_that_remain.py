"""Files of payloads: where they are, and when they go."""

import contextlib
import os

import numpy as np
import pytest
from tests.core.payloads.stored import assert_same, blobs

from lotdb import LOTDB


def test_small_arrays_share_one_file(db_of_files, tmp_path):
    db = db_of_files
    root = db.open_connection()
    for i in range(100):
        root.get_data_node(f"n{i:03}").write_data(np.full((10, 6), i, "f4"))
    db.commit()
    assert len(blobs(tmp_path)) == 1
    for i in range(100):
        assert root[f"n{i:03}"].read_data().tolist() == np.full((10, 6), i).tolist()


def test_small_arrays_of_different_layouts_have_a_file_each(db_of_files, tmp_path):
    db = db_of_files
    root = db.open_connection()
    for i in range(30):
        root.get_data_node(f"n{i}").write_data(np.zeros((4, i % 3 + 1)))
    db.commit()
    assert len(blobs(tmp_path)) == 3


def test_a_blob_file_is_a_numpy_file(db_of_files, tmp_path):
    db = db_of_files
    root = db.open_connection()
    root.get_data_node("a").write_data(np.arange(12, dtype=">i4").reshape(4, 3))
    db.commit()
    (file,) = blobs(tmp_path)
    stored = np.load(file)
    assert_same(stored, np.arange(12, dtype=">i4").reshape(4, 3))


def test_what_was_aborted_leaves_no_file(db, tmp_path):
    root = db.open_connection()
    root.get_data_node("a").write_data(np.arange(500_000))
    root["a"].write_data(np.arange(5), data_attribute="small")
    db.abort()
    db.commit()
    assert blobs(tmp_path) == []
    left = [path for path in (tmp_path / "db" / "lotdb.fs.blobs").rglob("*") if path.is_file()]
    assert [path.name for path in left] == [".layout"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="it looks at the files that are open")
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_what_a_pack_removes_is_not_kept_open(tmp_path, backend):
    """Else it would take its place on the disk until the database is closed."""

    def open_and_gone():
        found = []
        for each in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/self/fd/{each}"))
        return [path for path in found if path.startswith(str(tmp_path)) and path.endswith("(deleted)")]

    with LOTDB(tmp_path / "db", default_backend=backend) as db:
        with db.connection() as root:
            for key in "abc":
                root.get_data_node(key).write_data(np.random.default_rng(0).random(200_000))
        with db.connection() as root:
            for key in "abc":
                root[key].read_data(10, 20)
                root[key].read_data(30, 40)
            del root["a"], root["b"]
        db.pack()
        assert open_and_gone() == []
        with db.connection() as root:
            assert len(root["c"].read_data()) == 200_000
