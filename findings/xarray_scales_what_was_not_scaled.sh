#!/usr/bin/env bash
# xarray writes an array with an attribute `scale_factor` as it is, and multiplies it when it reads it back.
#
# Version:     xarray 2026.9.0, zarr 3.1.6, numpy 2.4.6
# Expectation: what to_zarr() writes, open_zarr() gives back: an attribute is a note of the user's, and how an array is
#              encoded stands in `.encoding`. Or the attribute is refused, as `_FillValue` is in some cases.
# Behaviour:   attributes and encoding share one place in the file. The attribute is written, the numbers are not divided
#              by it; reading takes it for the encoding, multiplies, and moves it from the attributes to the encoding.
#              `add_offset` likewise. It is a usual name for the gain of raw counts that somebody kept as a note.
#              decode_cf=False gives the numbers that were written.
# Seen:        0, 1, 2 with scale_factor 2.0 -> 0, 2, 4; with add_offset 10.0 -> 10, 11, 12; no error, no warning
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xarray==2026.9.0 zarr==3.1.6 pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" -W error - "$folder" <<'PY'
import os
import sys

import numpy as np
import xarray as xr


def back(attrs, **options):
    path = os.path.join(sys.argv[1], "x.zarr")
    xr.Dataset({"a": ("x", np.arange(3.0), attrs)}).to_zarr(path, mode="w", consolidated=False)
    return xr.open_zarr(path, consolidated=False, **options).a


seen = {}
for attrs, values in (({"gain": 2.0}, [0, 1, 2]), ({"scale_factor": 2.0}, [0, 2, 4]), ({"add_offset": 10.0}, [10, 11, 12])):
    found = back(attrs)
    print(attrs, "->", found.values, found.attrs)
    assert found.values.tolist() == values
    assert (found.attrs == attrs) == ("gain" in attrs)
    assert back(attrs, decode_cf=False).values.tolist() == [0, 1, 2]
PY
