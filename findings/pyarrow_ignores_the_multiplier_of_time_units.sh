#!/usr/bin/env bash
# pyarrow takes times in steps of 25 s for times in seconds: the first minutes of 2024 become a day in 1972.
#
# Version:     pyarrow 26.0.1, numpy 2.4.6, polars 2.1.0, pandas 3.1.1
# Expectation: `pyarrow.array` converts an array of datetime64[25s] or timedelta64[10ms] to the same times, or refuses
#              it, as it refuses hours, and as pandas refuses multiples of a unit.
# Behaviour:   numpy's units can be multiples, such as one sample in 25 s. The multiplier is left out, and the count
#              of steps is taken for seconds. Nothing is said. polars does the same with its own conversion of
#              durations.
# Seen:        2024-01-01T00:00:00 (25s) -> 1972-02-28T22:04:48; 400 ms (10ms) -> 40 ms in pyarrow and in polars
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 numpy==2.4.6 polars==2.1.0 pandas==3.1.1
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

steps = np.arange("2024-01-01T00:00:00", "2024-01-01T00:01:40", 25, dtype="M8[s]").astype("M8[25s]")
found = pa.array(steps)
print(steps[0], "->", found[0].as_py(), f"({found.type})")
assert steps[0] == np.datetime64("2024-01-01")
assert found.to_pylist()[0] == datetime.datetime(1972, 2, 28, 22, 4, 48)
assert pa.array(steps.astype("M8[s]")).to_pylist()[0] == datetime.datetime(2024, 1, 1)

lengths = np.array([40], "m8[10ms]")
print(lengths.astype("m8[ms]")[0], "->", pa.array(lengths)[0].as_py(), "(pyarrow),", pl.Series(lengths)[0], "(polars)")
assert pa.array(lengths).to_pylist() == pl.Series(lengths).to_list() == [datetime.timedelta(milliseconds=40)]
try:
    pd.Series(steps)
except ValueError as error:
    print("pandas:", error)
else:
    raise AssertionError("pandas takes multiples now")
PY
