"""Writes databases with the real lotdb 1.1.3, and what it reads of them, to compare with.

Run it in an environment of its own::

    python -m venv peer
    peer/bin/pip install 'lotdb[io,measurements]==1.1.3'
    peer/bin/python tests/upgrading/old_databases.py FOLDER [tests/upgrading/old_databases.zip]

Beside each database it writes ``expected.pickle``: for each path the type of the node, its defaults, its values,
and its payloads, as 1.1.3 itself reads them back. It names nothing but types of numpy and of the standard library.
"""

# mypy: ignore-errors
# ruff: noqa: E501, I001

import datetime as dt
import decimal
import fractions
import os
import pathlib
import pickle
import shutil
import sys
import uuid
import zipfile
from collections import OrderedDict, defaultdict, deque

import numpy as np

try:
    import transaction  # noqa: F401
    from BTrees.IOBTree import IOBTree
    from BTrees.OOBTree import OOBTree, OOTreeSet
    from lotdb import (
        LOTDB,
        BaseNode,
        BlobObject,
        BlobWriter,
        DataNode,
        DataObject,
        DataWriter,
        PathFileObj,
        add_blob,
    )
    from persistent.list import PersistentList
    from persistent.mapping import PersistentMapping
except ImportError:
    BaseNode = object


#: Children of one node; more take longer.
MANY = int(os.environ.get("MANY", "300"))


class Custom:
    """A class that the new database must not run; it leaves no trace but in the old process."""

    def __init__(self):
        self.inner = [1, 2]


class StudyNode(BaseNode):
    """A node type of a program."""


DTYPES = [
    "?", "i1", "u1", "<i2", ">i2", "<u4", "<i8", "<f2", "<f4", ">f4", "<f8", "<c8", "<c16", "<M8[ns]", "<M8[D]",
    "<m8[us]", "S5", "<U4",
]  # fmt: skip


def array_of(dtype, rows=7, columns=3):
    """Different values of *dtype*."""
    dtype = np.dtype(dtype)
    numbers = np.arange(rows * columns).reshape(rows, columns)
    if dtype.kind in "SU":
        return numbers.astype(dtype)
    if dtype.kind in "mM":
        return numbers.astype("i8").view(f"{dtype.kind}8[{np.datetime_data(dtype)[0]}]").astype(dtype)
    if dtype.kind == "b":
        return (numbers % 2).astype(dtype)
    return (numbers - (0 if dtype.kind == "u" else 5)).astype(dtype)


def attributes(root, db, folder):
    values = {
        "none": None, "yes": True, "int": -7, "big": 10**40, "float": 0.1, "nan": float("nan"), "inf": float("inf"),
        "text": "Grüße \U0001f40d", "empty": "", "bytes": b"\0\xff", "bytearray": bytearray(b"abc"),
        "complex": 1 - 2j, "list": [1, "a", [2.5, None]], "tuple": (1, (2, 3)), "set": {1, 2, "x"},
        "frozenset": frozenset({1, 2}), "dict": {"a": 1, 2: {"b": [1]}, (1, 2): "t"}, "range": range(2, 9, 3),
        "datetime": dt.datetime(2024, 2, 29, 1, 2, 3, 4), "aware": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        "offset": dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2), "X")),
        "date": dt.date(1999, 12, 31), "time": dt.time(1, 2, 3), "delta": dt.timedelta(days=-1, microseconds=5),
        "decimal": decimal.Decimal("1.10"), "fraction": fractions.Fraction(3, -7),
        "uuid": uuid.UUID(int=12345), "path": pathlib.PurePosixPath("/a/b"), "winpath": pathlib.PureWindowsPath("C:/a"),
        "np_int": np.int16(-3), "np_float": np.float32(0.1), "np_bool": np.bool_(True), "np_str": np.str_("ab"),
        "np_time": np.datetime64("2024-01-01T00:00:00", "ms"), "np_delta": np.timedelta64(5, "h"),
        "np_set": {np.int64(1), np.int64(2)}, "np_0d": np.array(2.5),
        "f_order": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "no_rows": np.empty((0, 3), "f4"),
        "struct": np.array([(1, 2.5, "ab")], [("n", "<i4"), ("x", "<f8"), ("s", "<U3")]),
        "sub": np.zeros(2, [("v", "<f4", (3,))]), "large": np.tile(np.arange(100.0), 1400), "large_text": "ab" * 600_000,
        "mapping": PersistentMapping({"a": PersistentList([1, {"b": 2}])}), "plist": PersistentList([1, 2]),
        "btree": OOBTree({f"k{n:03}": n for n in range(100)}), "iobtree": IOBTree({5: "a", 1: "b"}),
        "treeset": OOTreeSet([3, 1, 2]), "empty_btree": OOBTree(), "pfo": PathFileObj(root="/data/x", file="y.wav"),
        "pfo_win": PathFileObj(filepath="C:\\x\\y.wav"), "ordered": OrderedDict([("b", 1), ("a", 2)]),
        "default": defaultdict(list, {"a": [1]}), "deque": deque([1, 2]),
    }  # fmt: skip
    for name, value in values.items():
        root.get_node_path(["values"]).set_attribute(name, value)
    for number, dtype in enumerate(DTYPES):
        root.get_node("arrays").set_attribute(f"a{number}", array_of(dtype))
    lost = root.get_node("lost")
    lost.set_attribute("custom", Custom())
    lost.set_attribute("class", Custom)
    lost.set_attribute("objects", np.array([1, "a", None], object))
    lost.set_attribute("inside", [1, {"deep": Custom()}])
    lost.set_attribute("kept", 1)
    lost.ga("asked_for")
    root.gna(["short", "names"], "gna", 5)
    root.gns(["short", "names"]).ga("ga", [1])
    root.gn("short").colour = "red"


def blobs(root, db, folder):
    for number, dtype in enumerate(DTYPES):
        node = root.get_data_node(
            [f"type_{number}"], samplerate_hz=100 + number, backend="blob", data_attribute="rows"
        )
        node.write_data(array_of(dtype), metadata={"unit": "g", "gain": [1, 2.5]})
    node = root.get_data_node(["odd"], backend="blob")
    node.write_data(np.empty((0, 4), "f4"), data_attribute="empty")
    node.write_data(np.asfortranarray(np.arange(12.0).reshape(4, 3)), data_attribute="fortran")
    node.write_data(np.arange(24, dtype="u2").reshape(2, 3, 4), data_attribute="cube")
    node.write_data(np.array([(1, 2.5)] * 3, [("n", "<i4"), ("x", "<f8")]), data_attribute="fields")
    for _ in range(3):
        node.append_data(np.arange(5.0), data_attribute="grown")
    DataWriter.write_text(node, "Zeile 1\nZeile 2 ä", data_attribute="text", encoding="latin-1")
    DataWriter.write_bytes(node, bytes(range(256)), data_attribute="bytes", metadata={"k": 1})
    add_blob(node, "raw", b"raw bytes", content_type="image/x-raw", metadata={"m": "n"})
    BlobWriter.write_array(node, np.arange(4, dtype="i2"), "raw_array")
    DataWriter.write_array(root.get_node("plain"), np.arange(3.0), samplerate_hz=3, data_attribute="on_plain")
    node.write_data(np.arange(3), data_attribute="gone")
    node.delete_data("gone")
    db.commit()
    node.replace_data(np.arange(9), data_attribute="grown")
    root.get_node("kept").set_attribute("a", 1)
    db.commit()
    node.write_data(np.arange(99), data_attribute="never_committed")
    db.abort()


def zarrs(root, db, folder):
    for number, dtype in enumerate(DTYPES):
        node = root.get_data_node(["z", f"type_{number}"], samplerate_hz=0.5 + number, data_attribute="rows")
        node.write_data(array_of(dtype), database=db)
    node = root.get_data_node(["grown"], samplerate_hz=10, backend="zarr")
    for number in range(4):
        node.append_data(np.full((50, 2), number, "f4"), database=db, chunks=(16, 2))
    node.write_data(np.empty((0, 2)), database=db, data_attribute="empty", chunks=(1, 2))
    node.write_data(
        np.arange(4),
        database=db,
        data_attribute="own_store",
        zarr_store_path=os.path.join(folder, "own.zarr"),
    )
    moved = root.get_data_node(["before", "moving"], samplerate_hz=1)
    moved.write_data(np.arange(6), database=db)
    root.get_node("after").add_tree(moved)
    root.get_node("copies").add_tree(root.get_node("grown"), copy=True, unique_key=True)


def shapes(root, db, folder):
    for number in range(MANY):
        root.get_node_path(["many", f"n{number:04}"]).set_attribute("i", number)
    deep = root
    for number in range(150):
        deep = deep.get_node(f"d{number}")
    deep.set_attribute("deep", True)
    root.get_node("renamed").key = "new_name"
    root.get_node_path(["dropped", "below"]).set_attribute("a", 1)
    root.get_node("dropped").delete_tree()
    root.get_node_path(["lifted", "child"]).set_attribute("a", 2)
    root.delete_node("lifted", only_node=True)
    one, other = BaseNode("one"), BaseNode("other")
    one.get_node("x").set_attribute("a", 1)
    other.get_node("y").set_attribute("b", 2)
    root.add_trees([one, other])
    one.merge_tree(other, copy=True)
    root.add_tree(one, copy=True, unique_key=True)
    study = StudyNode("study")
    study.set_attribute("kept", "yes")
    study.get_node("below").set_attribute("kept", "too")
    root.add_tree(study)
    for key in ["a/b", "", ".", "tab\there", "x" * 300, "cafe\u0301", "caf\u00e9"]:
        root.get_node("odd").get_node(key).set_attribute("key", key)
    root.get_node("odd").set_attribute("", 1)
    root.get_node("odd").set_attribute("new\nline", 2)
    root.get_node("plain_to_data").set_attribute("kept", 3)
    root.get_data_node(["plain_to_data"], samplerate_hz=8, backend="blob").write_data(np.arange(3))
    root.set_attribute("on_root", "yes")


def files(root, db, folder):
    import pandas as pd
    from PIL import Image
    from scipy.io import wavfile

    here = os.path.join(folder, "sources")
    os.makedirs(here)
    wavfile.write(os.path.join(here, "tone.wav"), 8000, np.arange(-50, 50, dtype="i2"))
    np.save(os.path.join(here, "rows.npy"), np.arange(8.0).reshape(4, 2))
    Image.fromarray(np.arange(48, dtype="u1").reshape(4, 4, 3)).save(os.path.join(here, "picture.png"))
    pd.DataFrame({"n": [1, 2], "x": [0.5, None], "s": ["a", "b"]}).to_csv(
        os.path.join(here, "table.csv"), index=False
    )
    for name, content in (("notes.txt", "erste\nzweite"), ("blob.bin", "\0\1")):
        with open(os.path.join(here, name), "w") as file:
            file.write(content)
    for backend in ("blob", "zarr"):
        for name in sorted(os.listdir(here)):
            node = root.get_data_node(
                [backend, name.replace(".", "_")], backend=backend, data_attribute="data"
            )
            node.attach_file(os.path.join(here, name), database=db)
    frame = pd.DataFrame(
        {"i": range(5), "t": list("abcde"), "gap": [1.5, None, 2, None, 3], "yes": [True, False] * 2 + [True]}
    )
    DataWriter.write_table(root.get_data_node(["frame"], backend="blob"), frame, metadata={"k": "v"})
    DataWriter.attach_file_reference(root.get_node("reference"), root=here, file="tone.wav")
    shutil.rmtree(here)


BUILDERS = [attributes, blobs, zarrs, shapes, files]


def plain(value):
    """What 1.1.3 gives, in types that every program has."""
    if isinstance(value, PathFileObj):
        kind = pathlib.PureWindowsPath if value._path_style == "windows" else pathlib.PurePosixPath
        return kind(value.as_windows_path() if value._path_style == "windows" else value.filepath)
    if isinstance(value, (PersistentMapping, OOBTree, IOBTree, OrderedDict, defaultdict, dict)):
        return {plain(key): plain(part) for key, part in value.items()}
    if isinstance(value, (PersistentList, deque, list)):
        return [plain(part) for part in value]
    if isinstance(value, OOTreeSet):
        return set(value)
    if isinstance(value, (Custom, type)) or (isinstance(value, np.ndarray) and value.dtype.hasobject):
        return "LOST"
    return value


def expected(node, found, path=()):
    """What 1.1.3 reads of *node*, and of all below it."""
    values, payloads = {}, {}
    for name in node.all_attribute_keys():
        value = node.get_attribute(name)
        if isinstance(value, DataObject):
            data = value.read()
            if hasattr(data, "to_dict"):
                data = {"table": {key: list(column) for key, column in data.items()}}
            payloads[name] = (data, value.samplerate_hz)
        elif isinstance(value, BlobObject):
            npy = value.get_metadata("format") == "npy"
            payloads[name] = (value.read_array() if npy else value.read_bytes(), None)
        else:
            values[name] = plain(value)
            if "LOST" in repr(values[name]) or (name == "inside"):
                values[name] = "LOST"
    policy = (
        (node.samplerate_hz, node.data_backend, node.data_attribute) if isinstance(node, DataNode) else None
    )
    found[path] = (policy, values, payloads)
    for child in node.all_nodes():
        expected(child, found, (*path, child.key))


def write(folder, builders=BUILDERS):
    """Every database, each packed and unpacked, below *folder*; and what 1.1.3 reads of it."""
    for build in builders:
        for packed in (False, True):
            place = os.path.join(folder, build.__name__ + ("_packed" if packed else ""))
            db = LOTDB(path=place, name="LOTDB" if packed else "lotdb.fs", new=True)
            build(db.open_connection(), db, place)
            db.commit()
            if packed:
                db.db.pack()
            db.close()
            for left in (".old", ".tmp"):
                if os.path.exists(os.path.join(place, db.name + left)):
                    os.remove(os.path.join(place, db.name + left))
            db = LOTDB(path=place, name="LOTDB" if packed else "lotdb.fs", read_only=True)
            found = {}
            expected(db.open_connection(), found)
            db.close()
            with open(os.path.join(place, "expected.pickle"), "wb") as file:
                pickle.dump(found, file, protocol=4)


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    write(sys.argv[1])
    if len(sys.argv) > 2:  # the archive that the tests read
        with zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_LZMA) as archive:
            for above, _, names in sorted(os.walk(sys.argv[1])):
                for name in sorted(names):
                    path = os.path.join(above, name)
                    archive.write(path, os.path.relpath(path, sys.argv[1]))
