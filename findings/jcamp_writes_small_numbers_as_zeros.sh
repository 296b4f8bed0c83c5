#!/usr/bin/env bash
# jcamp writes a spectrum of small numbers as zeros, and moves the wavenumbers of one whose steps are not equal.
#
# Version:     jcamp 1.3.2, numpy 2.4.6
# Expectation: writefile() keeps some digits of each number, whatever its size; JCAMP-DX has factors for that. What has
#              no equal steps is written as pairs, (XY..XY), which the same library reads; or it is refused.
# Behaviour:   each ordinate is written with four decimals and the factor 1. Cross sections in m2 and absorbances below
#              0.00005 become 0.0000, those above keep one digit or two. Abscissas are always declared as equal steps
#              from the first to the last, and are read as such: 410 becomes 423.3. Nothing is raised.
# Seen:        1e-05, 2.5e-05, 0.000314159, 0.0012345 -> 0.0, 0.0, 0.0003, 0.0012; 400, 410, 430, 470 -> 400.0, 423.3,
#              446.7, 470.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jcamp==1.3.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import contextlib
import io

import jcamp
import numpy as np


def copied(x, y):
    with contextlib.redirect_stdout(io.StringIO()):
        jcamp.writefile("x.jdx", {"title": "a spectrum", "x": np.array(x, float), "y": np.array(y, float)})
    found = jcamp.readfile("x.jdx")
    print(x, y, "->", found["x"].tolist(), found["y"].tolist())
    return found["x"], found["y"]


x, y = copied([400, 410, 420, 430], [1e-5, 2.5e-5, 3.14159e-4, 1.2345e-3])
assert x.tolist() == [400, 410, 420, 430] and y.tolist() == [0, 0, 0.0003, 0.0012]
assert not copied([400, 410, 420, 430], [1e-24, 2e-24, 3e-24, 4e-24])[1].any()
x, y = copied([400, 410, 430, 470], [1, 2, 3, 4])
assert np.allclose(x, [400, 423.3333, 446.6667, 470]) and y.tolist() == [1, 2, 3, 4]
with open("pairs.jdx", "w") as file:
    file.write("##TITLE=pairs\n##JCAMP-DX=4.24\n##NPOINTS=3\n##XYPOINTS=(XY..XY)\n400, 1\n410, 2\n430, 3\n##END=\n")
pairs = jcamp.readfile("pairs.jdx")
print("pairs", pairs["x"].tolist(), pairs["y"].tolist())
assert pairs["x"].tolist() == [400, 410, 430] and pairs["y"].tolist() == [1, 2, 3]
PY
