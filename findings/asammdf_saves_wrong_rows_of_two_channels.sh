#!/usr/bin/env bash
# asammdf takes samples of two columns, and saves the first half of all numbers as one column.
#
# Version:     asammdf 8.8.28, numpy 2.4.6
# Expectation: a Signal whose samples have the shape (6, 2), two values for each of six times, is stored as such, or
#              refused as samples of a type that asammdf does not know are. (Structured arrays are its way to store
#              several columns.)
# Behaviour:   append() and save() raise nothing. The file holds the first six of the twelve numbers, row after row, as
#              the samples of the six times: from the second time on each is a number that was measured at another time
#              or in the other column, and half of the data are lost.
# Seen:        given [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]], read [0, 1, 2, 3, 4, 5] at six times
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet asammdf==8.8.28 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import numpy as np
from asammdf import MDF, Signal

given = np.arange(12).reshape(6, 2)
times = np.arange(6) / 10
with MDF() as file:
    file.append([Signal(given, times, name="acceleration", unit="m/s2")])
    file.save("x.mf4")
with MDF("x.mf4") as file:
    found = file.get("acceleration")
print(f"given {given.tolist()}, read {found.samples.tolist()} at {found.timestamps.tolist()}")
assert found.samples.tolist() == [0, 1, 2, 3, 4, 5]
assert np.array_equal(found.timestamps, times)
PY
