#!/usr/bin/env bash
# fastparquet writes times in whole seconds as milliseconds: 2024 becomes half an hour past midnight in 1970.
#
# Version:     fastparquet 2026.9.0, pandas 3.1.1, pyarrow 26.0.1, numpy 2.4.6
# Expectation: columns of datetime64[s] and timedelta64[s] come back as the same times, or are refused. Parquet has no
#              seconds, but it has milliseconds and microseconds, which hold every one of them.
# Behaviour:   the numbers are stored as they are, a time under the unit of milliseconds, a duration under the one of
#              microseconds. Nothing is said. pyarrow reads the wrong times. fastparquet itself refuses to read the
#              times that it wrote, but gives out the durations, as zeros. Columns in milliseconds are right.
# Seen:        2024-01-01T00:00:00 -> 1970-01-01T00:28:24.067 (pyarrow); 90 s -> 0 s (fastparquet), 90 us (pyarrow)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet fastparquet==2026.9.0 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import fastparquet
import numpy as np
import pandas as pd
import pyarrow.parquet as pq


def written(values):
    fastparquet.write("x.parquet", pd.DataFrame({"a": np.array(values)}))
    return pq.read_table("x.parquet")["a"]


times = ["2024-01-01T00:00:00", "2024-06-01T12:00:00"]
for unit, expected in (("ms", "2024-01-01T00:00:00.000"), ("s", "1970-01-01T00:28:24.067")):
    found = written(np.array(times, f"M8[{unit}]")).to_numpy()
    print(f"times in {unit}:", times[0], "->", found[0])
    assert str(found[0].astype("M8[ms]")) == expected

found = written(np.array([90, 3600], "m8[s]")).cast("int64").to_pylist()
(own, _) = fastparquet.ParquetFile("x.parquet").to_pandas()["a"]
print("durations in s:", "90 s, 3600 s", "->", found, "us (pyarrow),", own, "(fastparquet)")
assert found == [90, 3600]
assert own == pd.Timedelta(0)
PY
