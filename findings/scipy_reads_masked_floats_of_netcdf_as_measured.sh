#!/usr/bin/env bash
# SciPy writes masked numbers of 32 bits to netCDF as 1e20, and reads them as measured: the mask is lost.
#
# Version:     scipy 1.17.1, numpy 2.4.6
# Expectation: netcdf_file(maskandscale=True) masks again what was masked when it was written, as it does for float64,
#              and for float32 if the variable was given a missing_value of its own first.
# Behaviour:   the number for missing values is written to the attribute missing_value as a double, and to the variable
#              as a float32, which is another number than 1e20. The reader compares the two, and finds none equal.
#              The result is a masked array that masks nothing, so a mean is 1e20 / 3. Nothing is said. Integers of
#              16 bits cannot be written with maskandscale=True (OverflowError), even without a mask, as the
#              number for them is 999999.
# Seen:        float64 1, --, 3 -> 1, --, 3; float32 1, --, 3 -> 1, 1e+20, 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import numpy as np
from scipy.io import netcdf_file


def copied(dtype, values, **attributes):
    with netcdf_file("x.nc", "w", maskandscale=True) as file:
        file.createDimension("x", len(values))
        variable = file.createVariable("v", dtype, ("x",))
        for name, value in attributes.items():
            setattr(variable, name, value)
        variable[:] = values.astype(dtype)
    with netcdf_file("x.nc", "r", mmap=False, maskandscale=True) as file:
        found = file.variables["v"][:]
    print(np.dtype(dtype), attributes, values, "->", found)
    return found


values = np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False])
for kept in (copied("f8", values), copied("f4", values, missing_value=np.float32(-1))):
    assert kept.mask.tolist() == [False, True, False]
lost = copied("f4", values)
assert not lost.mask.any() and lost[1] == np.float32(1e20)
assert np.isclose(lost.mean(), 1e20 / 3)
try:
    copied("i2", np.arange(3))
except OverflowError as error:
    print("int16:", error)
else:
    raise AssertionError("int16 is taken now")
PY
