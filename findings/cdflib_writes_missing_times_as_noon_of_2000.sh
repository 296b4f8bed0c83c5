#!/usr/bin/env bash
# cdflib writes a missing time (NaT) as noon of the first of January 2000, though it says that it writes a fill value.
#
# Version:     cdflib 1.3.16, xarray 2026.9.0, numpy 2.4.6
# Expectation: `xarray_to_cdf` does what its documentation says of `nan_to_fillval`, which is on by default: NaN and
#              NaT become the fill values of the standard, -1e31 and the smallest integer of 64 bits.
# Behaviour:   NaN does. NaT becomes zero, which is the origin of CDF's times: a valid one, that no reader takes for a
#              missing one. It comes back as 2000-01-01T11:58:55.816 UTC, also with `fillval_to_nan=True`. Nothing is
#              said.
# Seen:        [2024-01-01, NaT] -> [757339269184000000, 0] -> [2024-01-01T00:00:00, 2000-01-01T11:58:55.816]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cdflib==1.3.16 xarray==2026.9.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import cdflib
import numpy as np
import xarray
from cdflib.xarray import cdf_to_xarray, xarray_to_cdf

times = np.array(["2024-01-01", "NaT"], "M8[ns]")
data = xarray.Dataset({"field": ("Epoch", [1.5, np.nan])}, coords={"Epoch": times})
xarray_to_cdf(data, "x.cdf", istp=False, nan_to_fillval=True)
file = cdflib.CDF("x.cdf")
stored = file.varget("Epoch").tolist()
found = cdf_to_xarray("x.cdf", to_datetime=True, fillval_to_nan=True)["Epoch"].values
print(times, "->", stored, "->", found)
assert file.varget("field").tolist() == [1.5, -1e31]
assert stored == [757339269184000000, 0]
assert not np.isnat(found[1]) and str(found[1]).startswith("2000-01-01T11:58:55.816")
PY
