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
        message = "payload 'data' of node 'a' was replaced or deleted"
        # Some of it may still be in memory.
        assert read_or_error(lambda: payload.read(50, 52).tolist()) in ([50, 51], message)
        rest = read_or_error(lambda: np.concatenate(list(blocks)).tolist())
        assert rest in (list(range(10, size)), message)
        assert backend == "blob" or rest == message


def read_or_error(read):
    """What *read* gives, or the first words of the error if it is stale."""
    try:
        return read()
    except StaleNodeError as error:
        return str(error).partition(" since,")[0]


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
