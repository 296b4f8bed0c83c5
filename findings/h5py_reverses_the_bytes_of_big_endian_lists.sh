#!/usr/bin/env bash
# h5py reverses the bytes of big-endian lists of any length when it reads them: 1, 2 come back as 16777216, 33554432.
#
# Version:     h5py 3.16.0, which has HDF5 2.0.0 (Linux wheels), numpy 2.4.6
# Expectation: rows of different lengths come back as they were. The documentation lists variable-length arrays of any
#              supported type, and integers and floats of both byte orders; arrays of one length are right in both.
# Behaviour:   the file is right, as its bytes (and h5dump) say. The reader gives the big-endian bytes out as an array
#              of the machine's own order. So do attributes, and fields of records. Nothing is said. A copy of such a
#              data set, made by reading and writing it with the same type, has the wrong numbers in the file, too.
# Seen:        >i4 1, 2, 770 -> 16777216, 33554432, 33751040; >f8 1.5 -> 3.13984e-319; <i4 and a plain >i4 array: right
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet h5py==3.16.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
from pathlib import Path

import h5py
import numpy as np

big, little, floats = (h5py.vlen_dtype(np.dtype(each)) for each in (">i4", "<i4", ">f8"))
rows = np.empty(2, dtype=object)
rows[:] = [np.array([1, 2, 770], dtype="int32"), np.array([4, 5], dtype="int32")]


def read(source):
    return [[each.item() for each in row] for row in source]


with h5py.File("x.h5", "w") as file:
    for name, kind in (("big", big), ("little", little), ("floats", floats)):
        file.create_dataset(name, (2,), dtype=kind)
    for i in range(2):
        file["big"][i] = rows[i]
        file["little"][i] = rows[i]
        file["floats"][i] = rows[i] + 0.5
    file.create_dataset("plain", data=[1, 2, 3], dtype=">i4")
    file.attrs.create("note", rows, dtype=big)
    records = np.zeros(1, dtype=[("time", "f8"), ("list", big)])
    records["list"][0] = rows[0]
    file.create_dataset("records", data=records)
with h5py.File("x.h5") as file:
    assert [h5py.check_vlen_dtype(file[name].dtype).str for name in ("big", "floats")] == [">i4", ">f8"]
    found, right, doubles = (read(file[name][:]) for name in ("big", "little", "floats"))
    assert file["plain"][:].tolist() == [1, 2, 3]
    assert read(file.attrs["note"]) == found
    assert read(file["records"]["list"]) == found[:1]
    with h5py.File("copy.h5", "w") as copy:
        copy.create_dataset("big", data=file["big"][:], dtype=file["big"].dtype)
print("big-endian", found, "little-endian", right, "floats", doubles)
assert right == [[1, 2, 770], [4, 5]]
assert found == [[16777216, 33554432, 33751040], [67108864, 83886080]]
assert doubles[0] == np.array([1.5, 2.5, 770.5]).byteswap().tolist()

# The numbers that lie in the files.
in_order = np.array([1, 2, 770], dtype=">i4").tobytes()
times = [Path(name).read_bytes().count(in_order) for name in ("x.h5", "copy.h5")]
print("1, 2, 770 in big-endian order: x.h5", times[0], "times, copy.h5", times[1])
assert times == [3, 0]
assert np.array(found[0], dtype=">i4").tobytes() in Path("copy.h5").read_bytes()
PY
