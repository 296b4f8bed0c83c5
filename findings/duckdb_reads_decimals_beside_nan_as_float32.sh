#!/usr/bin/env bash
# duckdb reads a column of decimals as float32 if one of them is NaN: 123456789.12 becomes 123456792.
#
# Version:     duckdb 2.0.1, pandas 3.1.1, numpy 2.4.6
# Expectation: decimals stay exact, as they do without the NaN (duckdb finds DECIMAL(11,2) for them); or the column is
#              read as DOUBLE, which holds them to 16 digits; or it is refused, since a decimal of SQL has no NaN.
# Behaviour:   one NaN, the mark of a reading that failed, or one infinity makes the whole column FLOAT, which has seven
#              digits. All other values are rounded to that. None in place of NaN keeps them. Nothing is said.
# Seen:        Decimal("123456789.12"), Decimal("NaN") -> 123456792.0 (FLOAT), nan; with None -> 123456789.12
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
from decimal import Decimal

import duckdb
import pandas as pd

exact = Decimal("123456789.12")


def read(second):
    table = pd.DataFrame({"x": pd.Series([exact, second], dtype=object)})
    value, kind = duckdb.from_df(table).project("x, typeof(x)").fetchall()[0]
    print(exact, "beside", second, "->", value, kind)
    return value, kind


assert read(None) == (exact, "DECIMAL(11,2)")
assert read(Decimal("NaN")) == (123456792.0, "FLOAT")
assert read(Decimal("Infinity")) == (123456792.0, "FLOAT")
PY
