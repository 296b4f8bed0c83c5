"""Blocks of rows whose memory is used again: what is stored is what was in it when it was given."""

import numpy as np
import pytest

from lotdb import LOTDB, Blocks

ROWS = 1000


def reused(*values):
    """A block of each of *values*, all in the same memory, which holds something else in the end."""
    memory = np.empty(ROWS)
    for value in values:
        memory[:] = value
        yield memory
    memory[:] = -1


@pytest.mark.parametrize("values", [(1,), (1, 2), (1, 2, 3, 4)])
@pytest.mark.parametrize("rows", ["known", "unknown"])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_memory_of_a_block_that_is_used_again(tmp_path, values, rows, backend):
    with LOTDB(tmp_path) as db:
        with db.connection() as root:
            count = ROWS * len(values) if rows == "known" else None
            blocks = Blocks(reused(*values), np.dtype(float), rows=count)
            root.get_data_node("a").write_data(blocks, backend=backend)
        with db.connection() as root:
            assert root["a"].read_data().tolist() == np.repeat(np.array(values, float), ROWS).tolist()
