#!/usr/bin/env bash
# An array whose attribute is NaN or infinite is written by zarr as a file that tensorstore does not open.
#
# Version:     zarr 3.1.6, tensorstore 0.1.84, numpy 2.4.6
# Expectation: zarr.json is JSON, as the specification of zarr v3 says: an attribute that JSON has no form for, such as
#              the NaN that stands for an unknown calibration, is refused, or encoded as fill values are ("NaN").
# Behaviour:   the words NaN and Infinity are written as they are. Python's json reads them, so zarr itself does, too.
#              tensorstore says that the array, of which the attribute is no part, is damaged (DATA_LOSS: invalid JSON).
#              The fill value of the same array, NaN as well, is encoded rightly.
# Seen:        attribute 1.5: tensorstore reads the array; attribute nan, inf: DATA_LOSS ... Invalid JSON
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet zarr==3.1.6 tensorstore==0.1.84 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys

import tensorstore
import zarr


def read(name, value):
    path = os.path.join(sys.argv[1], name)
    array = zarr.create_array(path, shape=(3,), chunks=(3,), dtype="f4", fill_value=float("nan"))
    array[:] = 1
    array.attrs["gain"] = value
    assert str(zarr.open_array(path).attrs["gain"]) == str(value)
    try:
        opened = tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}).result()
    except ValueError as error:
        return str(error)
    return opened.read().result().tolist()


assert read("number", 1.5) == [1, 1, 1]
for value in (float("nan"), float("inf")):
    said = read(str(value), value)
    print(value, "->", said[:60], "...")
    assert said.startswith("DATA_LOSS")
    assert "Invalid JSON" in said
PY
