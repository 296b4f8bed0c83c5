#!/usr/bin/env bash
# netCDF4 masks samples that were measured: -32767 in int16, 255 in uint8, and xarray shows the same file otherwise.
#
# Version:     netCDF4 1.7.5.1.post1, xarray 2026.9.0, h5netcdf 1.8.2, numpy 2.4.6
# Expectation: a variable without `_FillValue` has no missing values: what was written is read. Clipped
#              audio is full of -32767, and white pixels are 255.
# Behaviour:   each type has a default fill value, next to its limit, and netCDF4 masks it on reading
#              although the variable has no attribute that says so. Means and sums leave those samples out
#              without a word. xarray and h5py give the numbers. set_auto_mask(False), or fill_value=False
#              at the creation for int8 and uint8, gives them in netCDF4.
# Seen:        int16 -32768, -32767, 0 -> [-32768, --, 0]; uint8 254, 255, 0 -> [254, --, 0]; xarray: all
#              of them
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet netCDF4==1.7.5.1.post1 xarray==2026.9.0 h5netcdf==1.8.2 h5py==3.16.0 pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys

import netCDF4
import numpy as np
import xarray as xr

path = os.path.join(sys.argv[1], "x.nc")
written = {"sound": np.array([-32768, -32767, 0], "i2"), "image": np.array([254, 255, 0], "u1")}
with netCDF4.Dataset(path, "w") as file:
    file.createDimension("x", 3)
    for name, values in written.items():
        file.createVariable(name, values.dtype, ("x",))[:] = values
with netCDF4.Dataset(path) as file:
    for name, values in written.items():
        variable = file[name]
        assert variable.ncattrs() == []
        print(name, variable[:])
        assert variable[:].mask.tolist() == [False, True, False]
        variable.set_auto_mask(False)
        assert np.array_equal(variable[:], values)
for engine in ("netcdf4", "h5netcdf"):
    with xr.open_dataset(path, engine=engine) as dataset:
        for name, values in written.items():
            assert dataset[name].dtype == values.dtype
            assert np.array_equal(dataset[name].values, values)
PY
