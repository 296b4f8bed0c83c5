#!/usr/bin/env bash
# cftime ignores the time zone "-6:00" of the CF conventions' own example, and takes local times for UTC.
#
# Version:     cftime 1.6.6.1, netCDF4 1.7.5.1.post1, xarray 2026.9.0, pandas 3.1.1, numpy 2.4.6
# Expectation: "hours since 1992-10-8 15:15:42.5 -6:00" begins at 21:15:42.5 UTC, as the conventions say of this very
#              text, and as UDUNITS reads it; or it is refused, as other units that cftime does not know are.
# Behaviour:   only hours of two digits are understood ("-06:00"). Of one digit, the zone is left out, and the times are
#              off by it. Nothing is said. netCDF4.num2date is the same function, so that netCDF4 and xarray, which has
#              pandas read the text, give times that are six hours apart for one file.
# Seen:        -06:00 -> 21:15:42.5; -6:00 -> 15:15:42.5, of which xarray makes 21:15:42.5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cftime==1.6.6.1 netCDF4==1.7.5.1.post1 xarray==2026.9.0 pandas==3.1.1 \
    numpy==2.4.6
"$folder/venv/bin/python" - "$folder/x.nc" <<'PY'
import datetime
import sys
import warnings

import cftime
import netCDF4
import numpy as np
import xarray as xr

warnings.simplefilter("error")
start = "hours since 1992-10-8 15:15:42.5"


def begins(zone):
    found = cftime.num2date(0, f"{start} {zone}", only_use_cftime_datetimes=False)
    print(zone, "->", found)
    return found


right = datetime.datetime(1992, 10, 8, 21, 15, 42, 500000)
assert begins("-06:00") == begins("-0600") == begins("-06") == right
assert begins("-6:00") == begins("-6") == right - datetime.timedelta(hours=6)
assert begins("+5:30") == right - datetime.timedelta(hours=6)

with netCDF4.Dataset(sys.argv[1], "w") as file:
    file.createDimension("time", 1)
    time = file.createVariable("time", "f8", ("time",))
    time.units = f"{start} -6:00"
    time[:] = 0
    own = netCDF4.num2date(time[:], time.units, only_use_cftime_datetimes=False)[0]
with xr.open_dataset(sys.argv[1]) as data:
    other = data.time.values[0]
print("netCDF4:", own, "xarray:", other)
assert other - np.datetime64(own) == np.timedelta64(6, "h")
PY
