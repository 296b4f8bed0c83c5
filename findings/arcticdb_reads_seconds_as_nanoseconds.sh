#!/usr/bin/env bash
# ArcticDB gives an array of times in seconds back as nanoseconds, and a big-endian one with its bytes reversed.
#
# Version:     arcticdb 6.28.2, pandas 2.3.3, numpy 2.4.6
# Expectation: an array of numpy comes back with the same values, or is refused, as float16 is. A DataFrame with the
#              same times does.
# Behaviour:   the numbers are stored without the unit and the byte order, and read with those of the library: the
#              year 2024 becomes a second and a half after midnight in 1970, and 1 becomes 16777216. Nothing is said.
# Seen:        2024-01-01 (seconds) -> 1970-01-01T00:00:01.704067200; [1, 2] (big-endian) -> [16777216, 33554432]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet arcticdb==6.28.2 pandas==2.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import arcticdb
import numpy as np
import pandas as pd

library = arcticdb.Arctic("lmdb://store").create_library("runs")


def stored(value):
    library.write("x", value)
    return library.read("x").data


times = np.array(["2024-01-01"], "M8[s]")
assert stored(times.astype("M8[ns]")) == times
assert stored(pd.DataFrame({"at": times}))["at"][0] == pd.Timestamp("2024-01-01")
found = stored(times)
print(times, times.dtype, "->", found, found.dtype)
assert found.dtype == "M8[ns]" and found.astype(int) == times.astype(int)

counts = np.array([1, 2], ">i4")
assert stored(counts.astype("<i4")).tolist() == [1, 2]
found = stored(counts)
print(counts, counts.dtype, "->", found, found.dtype)
assert found.tolist() == [16777216, 33554432]
PY
