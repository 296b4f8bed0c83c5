#!/usr/bin/env bash
# A filter of Lance finds NaN, the mark of a missing reading, among the numbers that are above a limit.
#
# Version:     pylance 14.0.2, pyarrow 26.0.1
# Expectation: `x > 2` leaves NaN out, as numpy, pandas and pyarrow do, and as every comparison of floats
#              with NaN.
# Behaviour:   NaN counts as larger than each number, and as equal to itself. So alarms and counts above a
#              limit include the readings that failed; a filter given as an expression of pyarrow does the
#              same in Lance, and not in pyarrow.
# Seen:        of 1, NaN, 3 the filter `x > 2` gives NaN and 3, `x > 1e308` gives NaN; pyarrow: 3; nothing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pylance==14.0.2 pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import math
import os
import sys

import lance
import pyarrow as pa
import pyarrow.dataset as ds

table = pa.table({"x": [1.0, math.nan, 3.0]})
path = os.path.join(sys.argv[1], "readings.lance")
lance.write_dataset(table, path)
readings = lance.dataset(path)
for limit in (2.0, 1e308):
    condition = ds.field("x") > limit
    found = readings.to_table(filter=f"x > {limit}")["x"].to_pylist()
    by_expression = readings.to_table(filter=condition)["x"].to_pylist()
    by_arrow = ds.dataset(table).to_table(filter=condition)["x"].to_pylist()
    print(f"x > {limit}: lance {found}, pyarrow {by_arrow}")
    expected = [3.0] if limit == 2 else []
    assert by_arrow == expected
    for each in (found, by_expression):
        assert math.isnan(each[0]) and each[1:] == expected
PY
