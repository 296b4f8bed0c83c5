#!/usr/bin/env bash
# pyfive reads the numbers of an HDF5 file with a user block from the wrong place: 100, 101, ... come back as zeros.
#
# Version:     pyfive 1.3.0, h5py 3.16.0, numpy 2.4.6
# Expectation: a file that begins with a user block, as each of MATLAB 7.3 does (512 bytes), is read as h5py reads it,
#              or refused. Names, shapes, types, attributes and `userblock_size` are right.
# Behaviour:   places in the file count from the end of the user block. pyfive adds its length for the structure of the
#              file, but not for the numbers of a data set that is not chunked: they are taken from 512 bytes before
#              their place, from whatever lies there. That may be empty, so that a short series is all zeros; of a
#              longer one the rest is moved by 64 doubles. Nothing is said. (Data sets in chunks raise an error.) From
#              a file in memory (BytesIO) the same bytes are read rightly.
# Seen:        100.0, 101.0, 102.0 -> 0.0, 0.0, 0.0; row 64 of 1000 is 100.0 in place of 164.0; a single 42.5 that is
#              stored behind them is 1036.0, one of the series
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyfive==1.3.0 h5py==3.16.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import io
import warnings
from pathlib import Path

import h5py
import numpy as np
import pyfive

warnings.simplefilter("error", UserWarning)


def write(name, size):
    with h5py.File(name, "w", userblock_size=size) as file:
        file["series"] = 100.0 + np.arange(1000)
        file["single"] = 42.5
        file["series"].attrs["unit"] = 3
    with h5py.File(name) as file:
        assert file.userblock_size == size
        assert file["series"][2] == 102 and file["single"][()] == 42.5


def read(source):
    file = pyfive.File(source)
    series = file["series"]
    assert series.shape == (1000,) and series.dtype == "f8" and series.attrs["unit"] == 3
    found = series[:], float(file["single"][()]), file.userblock_size
    file.close()
    return found


write("plain.h5", 0)
write("block.h5", 512)
right = 100.0 + np.arange(1000)
series, single, size = read("plain.h5")
assert size == 0 and single == 42.5 and np.array_equal(series, right)
series, single, size = read(io.BytesIO(Path("block.h5").read_bytes()))
assert size == 512 and single == 42.5 and np.array_equal(series, right)

series, single, size = read("block.h5")
print("first rows", series[:3].tolist(), "row 64", series[64], "single", single)
assert size == 512 and single == 1036.0
assert not np.isin(series[:3], right).any()
assert np.array_equal(series[64:], right[:-64])
PY
