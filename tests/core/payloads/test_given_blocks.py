"""Blocks of rows: what is stored is what was in them when they were given, and as many rows as they said."""

import numpy as np
import pytest

from lotdb import LOTDB, Blocks, InvalidDataError

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


@pytest.mark.sampled(16)
@pytest.mark.parametrize("unit", [1, ROWS * 30])
@pytest.mark.parametrize("given", [(), (4,), (6,), (5, 1), (2, 4), (2, 2)])
@pytest.mark.parametrize("if_exists", ["replace", "append"])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_another_number_of_rows_than_was_said(tmp_path, unit, given, if_exists, backend):
    with LOTDB(tmp_path, default_backend=backend) as db, db.connection() as root:
        node = root.get_data_node("a")
        node.write_data(np.arange(3.0))
        db.commit(root)
        blocks = (np.zeros(rows * unit) for rows in given)
        with pytest.raises(InvalidDataError, match=f"'a'.*{5 * unit}"):
            node.write_data(Blocks(blocks, np.dtype(float), rows=5 * unit), if_exists=if_exists)
        db.commit(root)
        assert node.read_data().tolist() == [0, 1, 2]
        assert db.verify() == []


@pytest.mark.parametrize("given", [(5,), (0, 5), (5, 0), (2, 3), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("unit", [1, ROWS * 30])
def test_the_number_of_rows_that_was_said(tmp_path, given, unit):
    with LOTDB(tmp_path) as db, db.connection() as root:
        blocks = (np.full(rows * unit, rows) for rows in given)
        data = root.get_data_node("a").write_data(Blocks(blocks, np.dtype(int), rows=5 * unit)).read()
        assert data.tolist() == [rows for rows in given for _ in range(rows * unit)]
