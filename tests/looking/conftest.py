"""A node with payloads of all sorts; and a backend that counts what is read."""

from __future__ import annotations

import numpy as np
import pytest

from lotdb import LOTDB, Backend, Plugins, hookimpl


def table_with_a_gap():
    cells = np.ma.array(np.zeros(40, [("t", "f8"), ("n", "i4"), ("label", "U6")]))
    cells["t"], cells["n"], cells["label"] = np.arange(40) / 10, np.arange(40), "walk"
    cells["n"][3] = np.ma.masked
    return cells


#: Data of all sorts, by a name.
SORTS = {
    "float": np.sin(np.arange(5000) / 50),
    "half": np.arange(300).astype("f2"),
    "channels": np.arange(3000, dtype="i2").reshape(-1, 3),
    "many channels": np.zeros((3, 5000), "f4"),
    "truth": np.arange(100) % 3 == 0,
    "complex": np.exp(1j * np.arange(100) / 9),
    "big endian": np.arange(100, dtype=">i4"),
    "extremes": np.array([np.iinfo("i8").min, 0, np.iinfo("i8").max] * 20),
    "infinite": np.array([1.0, np.inf, -np.inf, 2.0, np.nan, 3.0]),
    "nothing but nan": np.full(50, np.nan),
    "no rows": np.empty((0, 3)),
    "no columns": np.empty((5, 0)),
    "one row": np.array([7.5]),
    "value": np.float32(2.5),
    "time": np.arange(30).astype("M8[s]"),
    "span": np.array([1, 2, "NaT"], "m8[ms]"),
    "texts": np.array(["<b>a", "b", "c\x1b[1m"]),
    "byte strings": np.array([b"a\xff", b"b"]),
    "fields": np.array([(1, 0.5, "x"), (2, 1.5, "y")], [("n", "i4"), ("x", "f8"), ("s", "U2")]),
    "fields of two axes": np.zeros((30, 2), [("n", "i4"), ("x", "f8"), ("three", "f4", 3)]),
    "fields without rows": np.zeros((0, 2), [("n", "i4")]),
    "no numbers": np.array([("a",), ("b",)], [("s", "U2")]),
    "table": table_with_a_gap(),
    "grey": np.arange(400, dtype="u1").reshape(20, 20),
    "colours": np.arange(1200, dtype="u1").reshape(20, 20, 3),
    "with alpha": np.arange(800, dtype="u1").reshape(20, 20, 2),
    "deep": (np.arange(400, dtype="u2") * 100).reshape(20, 20),
    "matrix": np.where(np.eye(20) > 0, np.nan, 1.0),
    "film": np.arange(2400, dtype="u1").reshape(4, 10, 20, 3),
    "axes": np.zeros((2, 3, 4, 5, 6)),
    "text": "first <script>\nsecond " * 100,
    "empty text": "",
    "bytes": b"\x00\x1b[31m" * 20,
    "no bytes": b"",
}


@pytest.fixture(scope="session")
def sorts(tmp_path_factory):
    """The data node with a payload of each sort, in a database that is open for all tests."""
    with LOTDB(tmp_path_factory.mktemp("looking") / "db", durability="process") as db:
        root = db.open_connection()
        node = root.get_data_node("all/sorts")
        for name, data in SORTS.items():
            node.write_data(data, data_attribute=name, metadata={"unit": "m$"})
        db.commit()
        yield node


class Counting(Backend):
    """Arrays in memory; it counts the bytes that are read."""

    name = "counting"
    arrays: dict[str, np.ndarray] = {}  # noqa: RUF012
    counted = 0

    def write(self, locator, array, options):
        self.arrays[locator] = array.copy()

    def read_into(self, locator, first_row, out):
        Counting.counted += out.nbytes
        out[...] = self.arrays[locator][first_row : first_row + len(out)]

    def delete(self, locator):
        self.arrays.pop(locator, None)


class CountingPlugin:
    @hookimpl
    def lotdb_get_backend(self, name):
        return Counting if name == "counting" else None


@pytest.fixture
def counting(tmp_path):
    """A data node whose payloads are in the backend that counts, and a function that gives the count."""
    plugins = Plugins()
    plugins.register(CountingPlugin())
    with LOTDB(tmp_path / "db", plugins=plugins, default_backend="counting") as db:
        root = db.open_connection()
        node = root.get_data_node("a")

        def read(function, *arguments, **named):
            db.commit()
            db.close_connection(root)
            again = db.open_connection()["a"]
            Counting.counted = 0
            result = function(again, *arguments, **named)
            return result, Counting.counted

        yield node, read
