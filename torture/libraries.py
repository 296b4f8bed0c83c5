"""The same small work for LOTDB and its peers: one commit after the other, and what is there.

Commit *number* writes an array of its own, ``item_<number>``, replaces the array ``current``, and notes the
number. This file runs in the environment of lotdb 1.1.3, too, so each library is imported when it is used.
"""

from __future__ import annotations

import os

import numpy as np

SIZES = (10, 1000, 20_000)


def rows(number: int) -> np.ndarray:
    """The rows that commit *number* writes; each tells from where it is."""
    return np.arange(SIZES[number % len(SIZES)], dtype=float) * 1000.5 + number


class Lotdb:
    """LOTDB: a node for each array, an attribute, one transaction."""

    def open(self, folder):
        from lotdb import LOTDB

        self.db = LOTDB(os.path.join(folder, "data"))

    def commit(self, number):
        with self.db.connection() as root:
            root.get_data_node(f"item_{number}").write_data(rows(number))
            root.get_data_node("current").write_data(rows(number))
            root.attrs["number"] = number

    def read(self, folder):
        from lotdb import LOTDB

        with LOTDB(os.path.join(folder, "data")) as db, db.connection() as root:
            yield "number", root.attrs.get("number", 0)
            for key in root:
                yield key, root[key].read_data()


class Lotdb1:
    """lotdb 1.1.3: the same, by the calls of that version."""

    def open(self, folder):
        from lotdb import LOTDB

        path = os.path.join(folder, "data")
        os.makedirs(path, exist_ok=True)
        new = not os.path.exists(os.path.join(path, "lotdb.fs"))
        self.db = LOTDB(path=path, name="lotdb.fs", new=new)
        self.root = self.db.open_connection()

    def commit(self, number):
        for key in (f"item_{number}", "current"):
            self.root.get_data_node([key], backend="blob").write_data(rows(number), database=self.db)
        self.root.set_attribute("number", number)
        self.db.commit()

    def read(self, folder):
        from lotdb import LOTDB

        path = os.path.join(folder, "data")
        if not os.path.exists(os.path.join(path, "lotdb.fs")):
            yield "number", 0
            return
        db = LOTDB(path=path, name="lotdb.fs")
        root = db.open_connection()
        yield "number", root.get_attribute("number") if "number" in root.all_attribute_keys() else 0
        for key in root.all_node_keys():
            yield key, np.asarray(root.get_node(key).read_data())


class H5py:
    """h5py: a dataset for each array, with checksums; a commit is a flush."""

    def open(self, folder):
        import h5py

        self.file = h5py.File(os.path.join(folder, "data.h5"), "a")

    def commit(self, number):
        for key in (f"item_{number}", "current"):
            if key in self.file:
                del self.file[key]
            data = rows(number)
            self.file.create_dataset(key, data=data, chunks=(min(len(data), 4096),), fletcher32=True)
        self.file.attrs["number"] = number
        self.file.flush()

    def read(self, folder):
        import h5py

        path = os.path.join(folder, "data.h5")
        if not os.path.exists(path):
            yield "number", 0
            return
        with h5py.File(path, "r") as file:
            yield "number", int(file.attrs.get("number", 0))
            for key in file:
                yield key, file[key][...]


class Zarr:
    """zarr: an array for each, with checksums; each write is its own commit."""

    def open(self, folder):
        import zarr

        self.group = zarr.open_group(os.path.join(folder, "data.zarr"), mode="a")

    def commit(self, number):
        from zarr.codecs import Crc32cCodec

        for key in (f"item_{number}", "current"):
            self.group.create_array(
                key, data=rows(number), chunks=(min(len(rows(number)), 4096),), compressors=[Crc32cCodec()],
                overwrite=True,
            )  # fmt: skip
        self.group.attrs["number"] = number

    def read(self, folder):
        import zarr

        path = os.path.join(folder, "data.zarr")
        if not os.path.exists(path):
            yield "number", 0
            return
        group = zarr.open_group(path, mode="r")
        yield "number", group.attrs.get("number", 0)
        for key in group.array_keys():
            yield key, group[key][...]


LIBRARIES = {"LOTDB": Lotdb, "h5py": H5py, "zarr": Zarr, "lotdb 1.1.3": Lotdb1}


def check(name, folder):
    """What is in the folder: the number, and what of it is right, wrong, missing, or an error."""
    found = {"number": None, "right": [], "wrong": [], "current": None, "error": None}
    try:
        for key, value in LIBRARIES[name]().read(folder):
            if key == "number":
                found["number"] = int(value)
            elif key == "current":
                number = int(value[0]) if len(value) else -1
                is_whole = number >= 0 and np.array_equal(value, rows(number))
                found["current"] = number if is_whole else "torn"
            elif np.array_equal(value, rows(int(key.partition("_")[2]))):
                found["right"].append(int(key.partition("_")[2]))
            else:
                found["wrong"].append(key)
    except Exception as error:
        names = [each.__name__ for each in type(error).__mro__]
        found["error"] = f"{type(error).__name__}: {error}"[:300]
        found["typed"] = "LotdbError" in names and name == "LOTDB"
    return found
