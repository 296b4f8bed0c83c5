"""A write that fails at any place keeps nothing else from being committed, or from being told right."""

import numpy as np
import pytest

from lotdb import LOTDB, StaleNodeError
from lotdb.segments import stage


@pytest.mark.parametrize("place", ["checksum", "block_sums", "BlockSums", "Pack"])
@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("rows", [10, 10_000, 400_000])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.parametrize("storage", ["file", "sqlite"])
def test_it_leaves_no_array_that_a_commit_looks_for(
    tmp_path, monkeypatch, place, error, rows, backend, storage
):
    def failing(*args):
        raise error

    with LOTDB(tmp_path, default_backend=backend, storage=storage) as db:
        with db.connection() as root:
            root.get_data_node("before").write_data(np.arange(5.0))
            with monkeypatch.context() as patch:
                patch.setattr(stage, place, failing)
                try:
                    root.get_data_node("a").write_data(np.arange(float(rows)))
                    failed = False
                except error:
                    failed = True
            root.get_data_node("after").write_data(np.arange(6.0))
        with db.connection() as root:
            assert root["before"].read_data().tolist() == list(range(5))
            assert root["after"].read_data().tolist() == list(range(6))
            assert root["a"].has_data() != failed
        assert db.verify() == []


@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.parametrize("storage", ["file", "sqlite"])
def test_what_was_undone_is_told_so_in_other_threads_too(tmp_path, backend, storage):
    with LOTDB(tmp_path, default_backend=backend, storage=storage) as db:
        root = db.open_connection()
        node = root.get_data_node("a")
        node.write_data(np.arange(400_000.0))
        db.savepoint()
        root._tree.trim_cache()
        free, payload = root["a"].get_data().for_threads(), root["a"].get_data()
        db.abort()
        for each in (free, payload):
            with pytest.raises(StaleNodeError):
                each.read()
