#!/usr/bin/env bash
# npTDMS writes an array of big-endian numbers as other numbers, without a word.
#
# Version:     npTDMS 1.13.0, numpy 2.4.6
# Expectation: TdmsWriter stores the numbers of the array, whatever their byte order: arrays read from many instruments
#              and from HDF5, EDF or netCDF-3 files are big-endian.
# Behaviour:   the bytes are written as they are, and are declared as little-endian. 1 comes back as 256; 1.0 comes back
#              as a number around 1e-319. The same numbers in the machine's order are right.
# Seen:        int16 0, 1, 2 -> 0, 256, 512; float64 1.0 -> 3.03865e-319
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet npTDMS==1.13.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/x.tdms" <<'PY'
import sys

import numpy as np
from nptdms import ChannelObject, TdmsFile, TdmsWriter


def back(array):
    with TdmsWriter(sys.argv[1]) as writer:
        writer.write_segment([ChannelObject("group", "channel", array)])
    return TdmsFile.read(sys.argv[1])["group"]["channel"][:]


for dtype in ("i2", "i4", "f8"):
    given = np.array([0, 1, 2], dtype)
    assert (back(given) == given).all()
    found = back(given.astype(f">{dtype}"))
    print(dtype, given, "->", found)
    assert found.dtype == given.dtype
    assert (found == given.byteswap()).all()
    assert found[1] != given[1]
PY
