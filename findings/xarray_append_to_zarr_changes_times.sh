#!/usr/bin/env bash
# xarray appends times to a zarr store that come back as other days, if the unit of the first ones is too coarse.
#
# Version:     xarray 2026.9.0, zarr 3.1.6, pandas 3.1.1
# Expectation: `to_zarr(append_dim="time")` stores the times that it is given, or raises if the store cannot hold them.
# Behaviour:   the first write encodes hourly times as whole hours since the first one. Times that lie between two hours
#              are encoded in seconds when they are appended, and those numbers are put behind the hours, under the
#              unit "hours" that stands in the store: half past three on the first of January 2024 comes back as a day
#              in June 2025. Nothing is raised; a warning says that the times are serialized faithfully, in seconds.
#              Whole hours are appended rightly.
# Seen:        2024-01-01T03:30:00 and 2024-01-01T04:30:01 come back as 2025-06-09T00:00 and 2025-11-06T01:00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xarray==2026.9.0 zarr==3.1.6 pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore::UserWarning - "$folder/x.zarr" <<'PY'
import sys

import numpy as np
import pandas as pd
import xarray as xr


def appended(store, more):
    first = pd.date_range("2024-01-01", periods=3, freq="1h")
    for times, options in ((first, {"mode": "w"}), (pd.to_datetime(more), {"append_dim": "time"})):
        data = xr.Dataset({"a": ("time", np.arange(float(len(times))))}, coords={"time": times})
        data.to_zarr(store, consolidated=False, **options)
    found = xr.open_zarr(store, consolidated=False).time.values[len(first) :]
    return [str(each) for each in found.astype("M8[s]")]


whole = ["2024-01-01T03:00:00", "2024-01-01T04:00:00"]
seen = appended(sys.argv[1], whole)
print("whole hours:", seen)
assert seen == whole
seen = appended(sys.argv[1], ["2024-01-01T03:30:00", "2024-01-01T04:30:01"])
print("between two hours:", seen)
assert seen == ["2025-06-09T00:00:00", "2025-11-06T01:00:00"]
PY
