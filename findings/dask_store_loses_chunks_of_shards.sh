#!/usr/bin/env bash
# dask.array.store(lock=False) into a sharded zarr array loses whole chunks, though each task writes chunks of its own.
#
# Version:     dask 2026.8.0, zarr 3.1.6, numpy 2.4.6
# Expectation: tasks that each write whole chunks of a zarr array need no lock: `lock=False` is for that, the chunks of
#              `dask.array.from_zarr` are the array's, and without shards it is right.
# Behaviour:   in a sharded array the smallest thing that can be written is a shard. Each task reads the shard, puts its
#              chunk in, and writes the shard; of two that do so at once, one is lost, and its chunk reads as the
#              fill value. Nothing is raised. from_zarr gives the chunks within the shards, too, so that
#              what was read from such an array is stored to another one in this way. to_zarr() is right.
# Seen:        40 chunks in 2 shards: 3100 to 3200 of 4000 numbers lost in each of five tries; without shards, and by to_zarr, 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'dask[array]==2026.8.0' zarr==3.1.6 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys

import dask.array as da
import numpy as np
import zarr


def lost(name, store, **layout):
    path = os.path.join(sys.argv[1], name)
    array = zarr.create_array(path, shape=(4000,), chunks=(100,), dtype="i4", fill_value=0, overwrite=True, **layout)
    given = da.arange(1, 4001, dtype="i4", chunks=100)
    store(given, array)
    return int((array[:] != np.arange(1, 4001)).sum())


def unlocked(given, array):
    assert da.from_zarr(array).chunks == given.chunks
    da.store(given, array, lock=False, scheduler="threads", num_workers=8)


assert [lost("plain", unlocked) for _ in range(5)] == [0] * 5
assert lost("to_zarr", da.to_zarr, shards=(2000,)) == 0
seen = [lost("sharded", unlocked, shards=(2000,)) for _ in range(5)]
print("numbers lost in five tries:", seen)
assert max(seen) > 0
PY
