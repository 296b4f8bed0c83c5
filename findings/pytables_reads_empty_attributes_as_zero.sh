#!/usr/bin/env bash
# PyTables reads an empty attribute or dataset of an HDF5 file, which has no value, as the number 0.
#
# Version:     PyTables 3.11.1, h5py 3.16.0, numpy 2.4.6
# Expectation: h5py writes h5py.Empty as HDF5's null dataspace: a value that is not there, as of a
#              calibration that was not done. A reader gives something that is no number, or refuses.
# Behaviour:   PyTables gives 0.0 or 0 of the type, without a warning. A Boolean attribute of h5py comes
#              back as None, with a warning, and a Boolean dataset as int8.
# Seen:        Empty('f4') -> 0.0, Empty('i8') -> 0, a dataset Empty('f4') -> array(0.); True -> None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tables==3.11.1 h5py==3.16.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys
import warnings

import h5py
import numpy as np
import tables

path = os.path.join(sys.argv[1], "x.h5")
with h5py.File(path, "w") as file:
    file.attrs["gain"] = h5py.Empty("f4")
    file.attrs["count"] = h5py.Empty("i8")
    file["calibration"] = h5py.Empty("f4")
    file.attrs["valid"] = True
    file["flags"] = np.array([True, False])
with h5py.File(path) as file:
    assert isinstance(file.attrs["gain"], h5py.Empty)
    assert file["calibration"].shape is None
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    with tables.open_file(path) as file:
        gain, count, valid = (file.root._v_attrs[name] for name in ("gain", "count", "valid"))
        calibration = file.root.calibration.read()
        flags = file.root.flags.read()
print(repr(gain), repr(count), repr(calibration), valid, flags.dtype)
assert gain == 0.0 and count == 0 and calibration == 0.0
assert valid is None and flags.dtype == np.int8
assert told and all("'valid'" in str(one.message) for one in told)  # and none of the empty ones
PY
