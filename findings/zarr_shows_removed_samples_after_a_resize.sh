#!/usr/bin/env bash
# A zarr array that was made shorter and longer again shows samples that were removed.
#
# Version:     zarr 3.1.6, tensorstore 0.1.86, h5py 3.16.0, numpy 2.4.6
# Expectation: what is cut off by resize() is gone. Rows that a later resize() adds hold the fill value,
#              as in HDF5. Whoever cuts a recording after its last good sample and goes on later relies on
#              it.
# Behaviour:   zarr deletes whole chunks that are no longer needed. The last chunk that stays is left as
#              it is, and what it holds beyond the end appears again when the array grows; with shards it
#              is the rest of the shard. tensorstore does the same.
# Seen:        20 samples in chunks of 8, cut to 5, grown to 20: 0 to 7 are there again; with shards of 16
#              it is 0 to 15; h5py: 0 to 4
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet zarr==3.1.6 tensorstore==0.1.86 h5py==3.16.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys

import h5py
import numpy as np
import tensorstore
import zarr

folder = sys.argv[1]
samples = np.arange(20, dtype="int32")


def remaining(values):
    return [int(value) for value in values if value != -1]


seen = {}
for name, options in {"zarr": {}, "zarr, shards": {"shards": (16,)}}.items():
    array = zarr.create_array(os.path.join(folder, name), shape=(20,), dtype="int32", chunks=(8,), fill_value=-1, **options)
    array[:] = samples
    array.resize((5,))
    array.resize((20,))
    seen[name] = remaining(array[:])

metadata = {
    "shape": [20],
    "data_type": "int32",
    "fill_value": -1,
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8]}},
}
store = {"driver": "file", "path": os.path.join(folder, "tensorstore")}
array = tensorstore.open({"driver": "zarr3", "kvstore": store, "metadata": metadata}, create=True).result()
array[:] = samples
array = array.resize(exclusive_max=[5]).result()
array = array.resize(exclusive_max=[20]).result()
seen["tensorstore"] = remaining(array.read().result())

with h5py.File(os.path.join(folder, "file.h5"), "w") as file:
    dataset = file.create_dataset("x", data=samples, chunks=(8,), maxshape=(None,), fillvalue=-1)
    dataset.resize((5,))
    dataset.resize((20,))
    seen["h5py"] = remaining(dataset[:])

for name, values in seen.items():
    print(name, values)
assert seen["h5py"] == list(range(5))
assert seen["zarr"] == seen["tensorstore"] == list(range(8))
assert seen["zarr, shards"] == list(range(16))
PY
