#!/usr/bin/env bash
# pandas writes the largest integers of 32 bits to Stata as missing values: clipped samples are gone.
#
# Version:     pandas 3.1.1, pyreadstat 1.3.7, numpy 2.4.6
# Expectation: Stata keeps the largest numbers of each type for missing values. Integers that are among them are stored
#              in a larger type, as pandas does with those of 8 and 16 bits (32767 comes back as 32767), or refused.
# Behaviour:   a column of int32 or uint32 with one of the numbers from 2147483621 to 2147483647, full scale among them,
#              is written as integers of 32 bits all the same. Stata's format has missing values there; pandas and
#              pyreadstat read them so. -2147483648 is lost to pandas, too, though pyreadstat reads it. With the
#              same numbers as int64 the column becomes doubles, and is right. Nothing is said.
# Seen:        int32 2147483647, -2147483648, 5 -> nan, nan, 5; int64 -> 2147483647, -2147483648, 5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1 pyreadstat==1.3.7 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import numpy as np
import pandas as pd
import pyreadstat


def copied(dtype, *values):
    given = np.array(values, dtype)
    pd.DataFrame({"x": given}).to_stata("x.dta", write_index=False)
    found = pd.read_stata("x.dta").x.to_list()
    print(dtype.__name__, given.tolist(), "->", found)
    return found


def same(dtype, *values):
    return copied(dtype, *values) == list(values)


assert same(np.int8, 127, -128, 5) and same(np.int16, 32767, -32768, 5) and same(np.uint16, 65535, 5)
assert same(np.int64, 2147483647, -2147483648, 5)
assert same(np.int32, 2147483620, -2147483647, 5)
found = copied(np.int32, 2147483647, -2147483648, 5)
assert np.isnan(found[:2]).all() and found[2] == 5
other, _ = pyreadstat.read_dta("x.dta")
print("pyreadstat:", other.x.to_list())
assert np.isnan(other.x[0]) and other.x[1] == -2147483648
for dtype in (np.int32, np.uint32):
    for value in (2147483621, 2147483647):
        assert np.isnan(copied(dtype, value, 5)[0])
PY
