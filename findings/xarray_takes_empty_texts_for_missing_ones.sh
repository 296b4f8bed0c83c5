#!/usr/bin/env bash
# xarray drops empty texts that it has read from zarr as if they were missing, and writes missing ones as empty.
#
# Version:     xarray 2026.9.0, zarr 3.1.6, numpy 2.4.6, pandas 3.1.1
# Expectation: an empty text (a note that nobody wrote) is a value, and None is a missing one, before and after a file.
# Behaviour:   an array of objects is written as variable-length texts. None becomes "", and on reading the fill value,
#              "", counts as missing: isnull() is true for all that is empty, dropna() drops it and fillna() replaces
#              it, though .values shows "". Which was which is gone. Texts of fixed length (dtype <U1) are right.
# Seen:        "a", None, "" -> values "a", "", ""; isnull False, True, True (False, True, False when it was written)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xarray==2026.9.0 zarr==3.1.6 pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - "$folder/x.zarr" <<'PY'
import sys

import numpy as np
import xarray as xr


def back(texts):
    given = xr.Dataset({"label": ("x", texts)})
    given.to_zarr(sys.argv[1], mode="w", consolidated=False)
    return given.label, xr.open_zarr(sys.argv[1], consolidated=False).label


given, found = back(np.array(["a", None, ""], object))
print(given.values, given.isnull().values, "->", found.values, found.isnull().values)
assert given.isnull().values.tolist() == [False, True, False]
assert found.values.tolist() == ["a", "", ""]
assert found.isnull().values.tolist() == [False, True, True]
assert found.dropna("x").values.tolist() == ["a"]
_, found = back(np.array(["a", "b", ""]))
assert found.dropna("x").values.tolist() == ["a", "b", ""]
PY
