"""What is stored is plain, whatever class of text or number was given: no other can be read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lotdb import LOTDB, Blocks, DataNode, InvalidDataError, UnsupportedValueError
from lotdb.records.own import with_values


class Name(str):
    __slots__ = ()


class Count(int):
    pass


def blocks(**how: Any) -> Blocks:
    how = {"dtype": np.dtype(float), "row_shape": (3,), **how}
    return Blocks(iter([np.zeros((2, 3)), np.zeros((3, 3))]), **how)


WRITES: dict[str, Any] = {
    "rows that numpy has counted": lambda node: node.write_data(blocks(rows=np.array([2, 3]).sum())),
    "rows of few bits": lambda node: node.write_data(blocks(rows=np.uint8(5))),
    "rows of a class": lambda node: node.write_data(blocks(rows=Count(5))),
    "a row shape of numpy's": lambda node: node.write_data(blocks(row_shape=(np.int64(3),))),
    "a kind": lambda node: node.write_data(blocks(kind=Name("array"))),
    "a media type": lambda node: node.write_data(np.zeros((5, 3)), content_type=np.str_("a/b")),
    "a backend": lambda node: node.write_data(np.zeros((5, 3)), backend=Name("blob")),
    "a default backend": lambda node: (
        node.configure_data(backend=Name("blob"), data_attribute=Name("data")),
        node.write_data(np.zeros((5, 3))),
    ),
    "a name": lambda node: node.write_data(np.zeros((5, 3)), data_attribute=np.str_("data")),
    "a backend to compact to": lambda node: (
        node.write_data(np.zeros((5, 3))),
        node.compact_data(backend=Name("zarr")),
    ),
    "a type of nodes": lambda node: (
        node.parent.get_node("typed", node_type=np.str_("data")),
        node.parent.get_node("retyped"),
        node.parent.get_node("retyped", node_type=Name("data")),
        node.write_data(np.zeros((5, 3))),
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("storage", ["file", "sqlite"])
def test_what_is_committed_is_read_again(tmp_path: Path, write: Any, storage: str) -> None:
    with LOTDB(tmp_path / "db", storage=storage) as db, db.connection() as root:
        root.get_data_node("before").write_data(np.arange(3.0))
        db.commit(root)
        write(root.get_data_node("a"))
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            assert root["before"].read_data().tolist() == [0, 1, 2]
            assert root["a"].read_data().shape == (5, 3)
            for node in root.values():
                assert isinstance(node, DataNode)
        assert db.verify() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": True},
        {"row_shape": (True,)},
        {"row_shape": (1,) * 64},
        {"row_shape": (1 << 40, 1 << 40)},
        {"dtype": np.dtype(("f8", (3,))), "row_shape": ()},
    ],
)
def test_blocks_that_no_array_can_be(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with LOTDB(tmp_path / "db") as db:
        node = db.open_connection().get_data_node("a")
        with pytest.raises(InvalidDataError, match="payload 'data' of node 'a': these are Blocks"):
            node.write_data(blocks(**wrong))


def test_nothing_is_committed_that_could_not_be_read(tmp_path: Path) -> None:
    """Whatever slips through, a plugin's mistake or one of ours."""
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            root.get_node("before").attrs["x"] = 1
        root = db.open_connection()
        node = root.get_node("a")
        node._put_own(with_values(((),), {"slipped": np.float64(1)}))
        with pytest.raises(UnsupportedValueError, match="nothing was committed"):
            db.commit()
        root["before"].attrs["x"] = 2
        db.commit()
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            assert list(root) == ["before"]
            assert root["before"].attrs["x"] == 2
        assert db.verify() == []
