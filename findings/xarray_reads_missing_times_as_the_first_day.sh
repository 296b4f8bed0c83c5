#!/usr/bin/env bash
# xarray reads a missing time of a model's calendar, or of a year before 1678, as the day from which times are counted.
#
# Version:     xarray 2026.9.0, cftime 1.6.6.1, zarr 3.1.6, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6
# Expectation: a missing time (NaN in the file) is missing when it is read, in each calendar and each century, as it is
#              in the calendar of today and in the years that nanoseconds reach.
# Behaviour:   times that numpy does not hold are decoded by cftime, which gives an array in which NaN is masked out.
#              xarray drops the mask. Beneath it lies the day of the unit: a valid time, which isnull() does not find
#              and dropna() keeps. So the first of all times is wrong, and a copy of the dataset misses no time any
#              more. Of old dates xarray warns that their type is another one, of other calendars it says nothing.
# Seen:        days 10, NaN, 12 since 2000: standard 2000-01-11, NaT, 2000-01-13; noleap and 360_day 2000-01-11,
#              2000-01-01, 2000-01-13; datetime64 1500-01-11, NaT -> 1500-01-11, 1500-01-11
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xarray==2026.9.0 cftime==1.6.6.1 zarr==3.1.6 scipy==1.17.1 pandas==3.1.1 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error -W ignore::DeprecationWarning -W ignore:Consolidated:UserWarning - <<'PY'
import warnings

import numpy as np
import xarray

days = np.array([10.0, np.nan, 12.0])


def texts(times):
    return [str(time)[:10] for time in times.values]


for calendar in ("standard", "noleap", "360_day"):
    attributes = {"units": "days since 2000-01-01", "calendar": calendar}
    given = xarray.Dataset({"seen": ("event", days, attributes)})
    given.to_netcdf("x.nc")
    given.to_zarr("x.zarr", mode="w")
    for found in (xarray.load_dataset("x.nc")["seen"], xarray.open_zarr("x.zarr")["seen"].load()):
        print(calendar, texts(found), "missing:", int(found.isnull().sum()), "kept:", found.dropna("event").size)
        middle = "NaT" if calendar == "standard" else "2000-01-01"
        assert texts(found) == ["2000-01-11", middle, "2000-01-13"]
        assert found.isnull().sum() == (calendar == "standard")

old = xarray.Dataset({"seen": ("event", np.array(["1500-01-11", "NaT"], "M8[s]"))})
assert old["seen"].isnull().sum() == 1
old.to_netcdf("old.nc")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = xarray.load_dataset("old.nc")["seen"]
print(texts(old["seen"]), "->", texts(found))
assert all("cftime.datetime objects" in str(warning.message) for warning in caught)
assert texts(found) == ["1500-01-11", "1500-01-11"] and found.isnull().sum() == 0
PY
