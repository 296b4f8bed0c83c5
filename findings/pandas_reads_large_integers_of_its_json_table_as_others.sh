#!/usr/bin/env bash
# pandas reads large unsigned integers of its own JSON table as negative ones, and others beside a missing one rounded.
#
# Version:     pandas 3.1.1, numpy 2.4.6
# Expectation: orient="table" keeps the types of the columns, as documented, in a schema; uint64 and Int64 come back as
#              the same numbers.
# Behaviour:   the text has all digits. The schema says "integer" for uint64, and the reader makes int64 of it, so that
#              2**63 + 1 turns negative; other orients read it rightly. Int64 is in the schema by its name, but a column
#              with a missing value is a column of doubles on the way: identifiers and times in nanoseconds, of 19
#              digits, are rounded. The result says Int64 again. Nothing is said.
# Seen:        9223372036854775809 -> -9223372036854775807; 1704067200123456789 beside <NA> -> 1704067200123456768
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" -W error - <<'PY'
import io

import pandas as pd


def again(values, dtype, orient="table"):
    given = pd.DataFrame({"x": pd.Series(values, dtype=dtype)})
    text = given.to_json(orient=orient)
    assert str(values[0]) in text
    found = pd.read_json(io.StringIO(text), orient=orient)["x"]
    print(orient, dtype, values, "->", found.tolist(), found.dtype)
    return found


large = 2**63 + 1
assert again([large, 1], "uint64")[0] == large - 2**64
assert again([large, 1], "uint64", "records")[0] == large
stamp = 1704067200123456789
found = again([stamp, None], "Int64")
assert found.dtype == "Int64"
assert found[0] == 1704067200123456768
assert again([stamp, 1], "Int64")[0] == stamp
PY
