#!/usr/bin/env bash
# awkward loses rows that have no entries on the way through Arrow and Feather: (2, 0, 3) comes back as (0, 0, 3).
#
# Version:     awkward 2.14.0, pyarrow 26.0.1, numpy 2.4.6
# Expectation: two events without a hit come back as two events.
# Behaviour:   pyarrow is given two lists of the fixed size 0, and says so. The way back computes the number of rows
#              from the number of entries, which is none, and gives an array of no rows. Nothing is said: what is
#              written beside it, row by row, no longer fits. Parquet refuses such an array. With one entry a row, or
#              with lists of any size, the rows are kept.
# Seen:        2 * 0 * 3 * float64 -> 0 * 0 * 3 * float64
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet awkward==2.14.0 pyarrow==26.0.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import awkward as ak
import numpy as np


def through_feather(array):
    ak.to_feather(array, "x.feather")
    return ak.from_feather("x.feather")


hits = ak.Array(np.zeros((2, 0, 3)))
assert len(hits) == 2
assert len(ak.to_arrow(hits)) == 2
for way in (lambda array: ak.from_arrow(ak.to_arrow(array)), through_feather):
    found = way(hits)
    print(hits.type, "->", found.type)
    assert len(found) == 0
    assert len(way(ak.Array(np.zeros((2, 1, 3))))) == 2
    assert len(way(ak.Array([[], []]))) == 2
PY
