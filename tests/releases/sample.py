"""Writes a database with the libraries of the interpreter that runs it, and checks one that another wrote.

    python sample.py write FOLDER
    python sample.py check FOLDER

Run by ``test_crosswise.py``; it needs nothing but LOTDB.
"""

import datetime
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import zarr

from lotdb import LOTDB

DTYPES = ["?", "u1", "<i2", ">i4", "<f2", "<f4", ">f8", "<c8", "<M8[ns]", "<m8[25s]", "<U3", "S4"]


def arrays():
    """Arrays of every kind, small ones that share a file and large ones that have shards of their own."""
    noise = np.random.default_rng(1)
    for dtype in map(np.dtype, DTYPES):
        bits = noise.integers(0, 100, (3000, 2))
        yield f"small/{dtype.str[1:]}", bits.astype(dtype)
    yield "small/structure", np.array([(1, 2.5), (3, 4.5)], [("a", ">i4"), ("b", "f8")])
    yield "large/sound", noise.integers(-99, 99, (5_000_000, 2)).astype("i2")
    yield "large/image", noise.random((300, 64, 48), "f4")


def options():
    """Arguments of ``write_data``, by the name of a node."""
    return {
        "defaults": {},
        "cut": {"chunks": 700, "shards": 7000},
        "bare": {"compressors": None},
        "gzip": {"compressors": zarr.codecs.GzipCodec(level=1)},
        "zstd": {"compressors": zarr.codecs.ZstdCodec(level=1)},
        "blosc": {"compressors": zarr.codecs.BloscCodec(cname="zstd", shuffle="bitshuffle", typesize=2)},
        "two": {"compressors": [zarr.codecs.BloscCodec(), zarr.codecs.GzipCodec()]},  # left to zarr
    }


def attributes():
    """Attribute values, of types of Python and numpy."""
    when = datetime.datetime(2026, 2, 3, 4, 5, 6, 7, datetime.UTC)
    few = {"text": "Grüße", "when": when, "one": np.float32(1.5), "some": np.arange(3)}
    return {**few, "deep": [{"a": (1, 2)}]}


def digest(array):
    """A text that differs if dtype, shape or a byte does."""
    array = np.ascontiguousarray(array)
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def write(folder):
    """A database in *folder*, and beside it what is right."""
    right = {}
    with LOTDB(folder, default_backend="zarr") as db, db.connection() as root:
        for path, array in arrays():
            root.get_data_node(path, samplerate_hz=100).write_data(array)
            right[path] = digest(array)
        rows = np.arange(60_000, dtype="i4").reshape(-1, 3)
        for name, more in options().items():
            root.get_data_node(f"options/{name}").write_data(rows, **more)
            right[f"options/{name}"] = digest(rows)
        root.get_node_path("attributes").attrs.update(attributes())
    Path(folder, "right.json").write_text(json.dumps(right))


def check(folder):
    """Read everything, whole and by windows; then change the database and read it again."""
    right = json.loads(Path(folder, "right.json").read_text())
    with LOTDB(folder) as db:
        assert db.verify() == []
        with db.connection() as root:
            for path, digested in right.items():
                payload = root[path].get_data()
                whole = payload.read()
                assert digest(whole) == digested, path
                for first, last in ((0, 1), (1, len(whole) - 1), (len(whole) // 2, len(whole))):
                    assert digest(payload.read(first, last)) == digest(whole[first:last]), path
            found = dict(root["attributes"].attrs)
            assert list(found.pop("some")) == [0, 1, 2]
            wanted = attributes()
            del wanted["some"]
            assert found == wanted
            assert type(found["one"]) is np.float32
            for name in options():
                root[f"options/{name}"].append_data(np.zeros((5, 3), "i4"))
            root["options/defaults"].compact_data()
        db.pack()
        assert db.verify() == []
        with db.connection() as root:
            assert all(root[f"options/{name}"].read_data()[-5:].sum() == 0 for name in options())


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](sys.argv[2])
