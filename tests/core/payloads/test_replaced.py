"""A payload object whose payload was replaced or deleted reads what it was, until a pack drops that."""

import os

import numpy as np
import pytest

from lotdb import LOTDB, DamagedError, StaleNodeError

CHANGES = {
    "replaced": lambda node: node.write_data(np.zeros(5)),
    "replaced by a text": lambda node: node.write_data("a text"),
    "deleted": lambda node: node.delete_data(),
    "compacted": lambda node: (node.append_data(np.zeros(5)), node.compact_data()),
    "with its node": lambda node: node.delete_tree(),
    "with its node, and made again": lambda node: (node.delete_tree(), node.parent.get_data_node("a")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("size", [100, 400_000])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_it_is_stale_once_a_pack_has_dropped_it(tmp_path, change, size, backend):
    with LOTDB(tmp_path, default_backend=backend) as db:
        root = db.open_connection()
        node = root.get_data_node("a")
        payload = node.write_data(np.arange(float(size)))
        blocks = payload.iter_blocks(10)
        assert next(blocks).tolist() == list(range(10))
        db.commit()
        change(node)
        assert payload.read(20, 22).tolist() == [20, 21]
        db.commit()
        db.pack()
        try:
            assert payload.read(50, 52).tolist() == [50, 51]  # what is still in memory
        except StaleNodeError as error:
            assert "payload 'data' of node 'a' was replaced or deleted" in str(error)
        try:
            assert np.concatenate(list(blocks)).tolist() == list(range(10, size))
        except StaleNodeError as error:
            assert "payload 'data' of node 'a' was replaced or deleted" in str(error)


def test_a_damaged_payload_is_damaged(tmp_path):
    with LOTDB(tmp_path) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(400_000.0))
        with db.connection() as root:
            payload = root["a"].get_data()
            (segment,) = payload.segments()
            os.truncate(segment.files[0][0], 1000)
            with pytest.raises(DamagedError):
                payload.read()
