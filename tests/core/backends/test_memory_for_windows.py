"""A window takes the memory of its rows, and little more."""

import runpy
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

raw_backend = runpy.run_path(str(Path(__file__).with_name("raw_backend.py")))
RawBackend: Any = raw_backend["RawBackend"]
fresh, opened = raw_backend["fresh"], raw_backend["opened"]

ROWS = 48 << 20


@pytest.mark.crossed
@pytest.mark.parametrize("backend", ["blob", fresh(concurrent_reads=1), fresh()])
@pytest.mark.parametrize("first", [4, 5])  # at a multiple of four bytes, and of one
def test_wherever_a_large_window_begins_it_takes_its_own_memory_only(tmp_path, backend, first):
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(ROWS, dtype="u1"))
        with db.connection() as root:
            payload = root["a"].get_data()
            tracemalloc.start()
            try:
                found = payload.read(first, ROWS - 9)
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert np.array_equal(found[::4099], np.arange(first, ROWS - 9, 4099).astype("u1"))
    assert most < 1.2 * len(found)
