#!/usr/bin/env bash
# pyreadstat writes the times of a column in whole seconds as the first of January 1970, each of them.
#
# Version:     pyreadstat 1.3.7, pandas 3.1.1, numpy 2.4.6
# Expectation: a column of datetime64[s] comes back as the same times, or is refused.
# Behaviour:   columns in milliseconds, microseconds and nanoseconds are converted rightly, in seconds each time
#              becomes zero. Nothing is said. pandas makes such columns of numpy's days and seconds.
# Seen:        2024-01-01T00:01:30, 2024-01-02T00:00:00 -> 1970-01-01 00:00:00, 1970-01-01 00:00:00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyreadstat==1.3.7 pandas==3.1.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import numpy as np
import pandas as pd
import pyreadstat

given = ["2024-01-01T00:01:30", "2024-01-02T00:00:00"]
ways = {
    "x.sav": (pyreadstat.write_sav, pyreadstat.read_sav),
    "x.dta": (pyreadstat.write_dta, pyreadstat.read_dta),
    "x.xpt": (pyreadstat.write_xport, pyreadstat.read_xport),
}
for name, (write, read) in ways.items():
    for unit in ("ns", "us", "ms", "s"):
        write(pd.DataFrame({"seen": np.array(given, f"M8[{unit}]")}), name)
        found = [each.isoformat() for each in read(name)[0]["seen"]]
        print(name, unit, given, "->", found)
        assert found == (["1970-01-01T00:00:00"] * 2 if unit == "s" else given)
PY
