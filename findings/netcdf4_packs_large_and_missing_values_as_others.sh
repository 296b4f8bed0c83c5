#!/usr/bin/env bash
# netCDF4 packs 4000 degrees as -2553.6, and a missing value as 0 degrees, without a word.
#
# Version:     netCDF4 1.7.5.1.post1, h5netcdf 1.8.2, h5py 3.16.0, numpy 2.4.6
# Expectation: a variable of 16-bit integers with a scale_factor of 0.1 holds -3276.8 to 3276.7; other values raise,
#              or are kept at the limit, as h5netcdf and HDF5 do, or come back as missing. NaN raises or is masked.
# Behaviour:   the scaled numbers are cut to 16 bits like numpy's casts do: those that are too large come back with
#              another sign, in the middle of the range. NaN becomes the integer 0, which is add_offset: a plausible
#              measurement. numpy says "invalid value encountered in cast" for NaN, nothing is said about the others.
# Seen:        [21.5, 4000.0, -4000.0, nan] -> [21.5, -2553.6, 2553.6, 0.0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet netCDF4==1.7.5.1.post1 h5netcdf==1.8.2 h5py==3.16.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore::RuntimeWarning - <<'PY'
import netCDF4
import numpy as np
from h5netcdf import legacyapi


def written(library, values, **packing):
    with library.Dataset("x.nc", "w") as file:
        file.createDimension("x", len(values))
        variable = file.createVariable("t", "i2", ("x",))
        for name, value in packing.items():
            setattr(variable, name, value)
        variable[:] = np.array(values)
    with netCDF4.Dataset("x.nc") as file:
        return np.ma.getdata(file["t"][:]).round(3).tolist(), np.ma.getmaskarray(file["t"][:]).any()


given = [21.5, 4000.0, -4000.0, float("nan")]
found, masked = written(netCDF4, given, scale_factor=0.1, add_offset=0.0)
print(given, "->", found)
assert found == [21.5, -2553.6, 2553.6, 0.0]
assert not masked
steps = [215.0, 40000.0, -40000.0]
plain = written(netCDF4, steps)[0], written(legacyapi, steps)[0]
print("not scaled:", steps, "->", plain[0], "(netCDF4),", plain[1], "(h5netcdf)")
assert plain == ([215, -25536, 25536], [215, 32767, -32768])
PY
