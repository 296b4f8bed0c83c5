#!/usr/bin/env bash
# pandas writes a duration to SQL as a count of microseconds, or seconds, and says that it is one of nanoseconds.
#
# Version:     pandas 3.1.1, numpy 2.4.6
# Expectation: `to_sql` does what its warning says: durations are "written as integer values (ns frequency)". Then
#              `pandas.to_timedelta` of the column gives them back, as it did up to pandas 2.
# Behaviour:   the integers are written in the unit of the column, which is no longer nanoseconds by default: the
#              difference of two times is in microseconds. Nothing in the table tells the unit. 90 seconds come back
#              as 90 milliseconds; from a column in seconds, as 90 nanoseconds. The warning is the same for all.
# Seen:        90 s -> 90000000 -> 0.09 s (default, us); 90000000000 -> 90 s (ns); 90 -> 90 ns (s)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sqlite3
import warnings

import pandas as pd

times = pd.Series(pd.to_datetime(["2024-01-01T00:01:30"]))
lasted = times - pd.Timestamp("2024-01-01")
seen = {}
for name, column in (("default", lasted), ("ns", lasted.dt.as_unit("ns")), ("s", lasted.dt.as_unit("s"))):
    with sqlite3.connect(":memory:") as database, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        pd.DataFrame({"lasted": column}).to_sql("run", database, index=False)
        ((stored,),) = database.execute("select lasted from run").fetchall()
        (found,) = pd.to_timedelta(pd.read_sql("select lasted from run", database)["lasted"])
    print(name, column.dtype, "->", stored, "->", found.total_seconds(), "s")
    assert [each for each in said if "ns frequency" in str(each.message)]
    seen[name] = stored, found
assert lasted.dtype == "m8[us]"
assert seen["default"] == (90_000_000, pd.Timedelta("90ms"))
assert seen["ns"] == (90_000_000_000, pd.Timedelta("90s"))
assert seen["s"] == (90, pd.Timedelta("90ns"))
PY
