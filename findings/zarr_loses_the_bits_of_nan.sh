#!/usr/bin/env bash
# zarr replaces a chunk of different NaNs by its fill value, so R's NA comes back as a plain NaN.
#
# Version:     zarr 3.1.6, numpy 2.4.6
# Expectation: an array of floats comes back bit for bit; "chunks that are equal to the fill value are not written" is
#              about chunks that are the fill value.
# Behaviour:   with fill_value=nan, a chunk in which all numbers are some NaN counts as empty, whatever their bits are,
#              and is not written: what the bits say (R's NA is a NaN that carries the number 1954; some instruments
#              put the reason there) is gone. A chunk with one other number in it keeps them all. Of the two zeros,
#              0.0 and -0.0, zarr does see the difference.
# Seen:        4 x NA, one chunk: stored as nothing, comes back as 4 x 0x7ff8000000000000; with a 1.0 among them: kept
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet zarr==3.1.6 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys

import numpy as np
import zarr

NA = 0x7FF00000000007A2


def back(name, fill_value, values):
    path = os.path.join(sys.argv[1], name)
    array = zarr.create_array(path, shape=(4,), chunks=(4,), dtype="f8", fill_value=fill_value)
    array[:] = values
    written = sum(len(files) for _, _, files in os.walk(path)) - 1  # without zarr.json
    return written, array[:].view("u8")


missing = np.full(4, NA, "u8").view("f8")
written, bits = back("all", np.nan, missing)
print("all NA:", written, "chunks,", [hex(each) for each in bits])
assert written == 0
assert (bits == 0x7FF8000000000000).all()
mixed = missing.copy()
mixed[2] = 1.0
written, bits = back("mixed", np.nan, mixed)
print("one other number:", written, "chunks,", [hex(each) for each in bits])
assert written == 1
assert (bits.view("f8")[[0, 1, 3]].view("u8") | 1 << 51 == NA | 1 << 51).all()
written, bits = back("zeros", 0.0, np.full(4, -0.0))
assert written == 1
assert (bits == 1 << 63).all()
PY
